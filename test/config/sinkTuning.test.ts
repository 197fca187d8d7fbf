import { describe, expect, it } from "vitest";
import { redisSink } from "../../src/redisSink.ts";

const good = { id: "orders-redis", uri: "redis://h", stream: "orders.events" };

/** What `redisSink` says of options that TypeScript would not let through. */
function complaintOf(options: object): string {
  try {
    redisSink(options as typeof good);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "";
}

describe("the options of redisSink", () => {
  it.each([
    [{ ...good, batch: { maxEvents: 0 } }, "batch.maxEvents: found 0, expected a whole number from 1 on"],
    [{ ...good, batch: { maxEvent: 5 } }, "batch.maxEvent: no such setting; did you mean maxEvents?"],
    [{ ...good, window: 1.5 }, "window: found 1.5, expected a whole number from 1 on"],
    [{ ...good, retry: { jitter: 2 } }, "retry.jitter: found 2, expected a number from 0 to 1"],
    [{ ...good, publish: "lua" }, "publish: found lua, expected script or pipeline"],
    [
      { ...good, uri: "http://u:hunter2@h" },
      "uri: found http://u:***@h, expected a URI that starts with redis://",
    ],
    [{ ...good, stream: "" }, 'stream: found "", expected a text or a function of the event'],
    [{ ...good, sendTimeoutMs: 0 }, "sendTimeoutMs: found 0, expected a number of milliseconds from 1"],
    [{ ...good, publish: () => "hunter2" }, "publish: found a function, expected script or pipeline"],
    [{ id: "a", stream: "s" }, "uri: found nothing, expected a uri, or a connection of ioredis"],
  ])("are refused at once: %j", (options, complaint) => {
    expect(complaintOf(options)).toContain(complaint);
  });

  it("are refused with all that is wrong with them", () => {
    const complaint = complaintOf({ ...good, id: "", window: 0 });

    expect(complaint).toContain("id: found");
    expect(complaint).toContain("window: found 0");
  });

  it("may hold observers, functions and no more than id, uri and stream", () => {
    expect(complaintOf(good)).toBe("");
    expect(
      complaintOf({ ...good, stream: () => "s", status: { next: () => {} }, retry: { maxRetries: 0 } }),
    ).toBe("");
  });
});
