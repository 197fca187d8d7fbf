import { createClient, createCluster } from "redis";
import { EMPTY } from "rxjs";
import { describe, expect, it } from "vitest";
import { groupDeliveries, streamEntries, watchGroup } from "../../src/consumer.ts";
import type { EventAccess } from "../../src/event/eventAccess.ts";
import type { StandardPosition } from "../../src/event/positions.ts";
import { type Commit, fanOut } from "../../src/pipeline/fanOut.ts";
import { replicate } from "../../src/pipeline/replicate.ts";
import { redisSink } from "../../src/sink/redisSink.ts";
import { decodeTuning } from "../../src/sink/sinkTuning.ts";
import { entryCopies } from "../../src/sources/redis/index.ts";

const good = { id: "orders-redis", uri: "redis://h", stream: "orders.events" };

/** What `redisSink` says of options that TypeScript would not let through. */
function complaintOf(options: unknown): string {
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
    [{ ...good, publish: "lua" }, "publish: found lua, expected script or multi"],
    [
      { ...good, uri: "http://u:hunter2@h" },
      "uri: found http://u:***@h, expected a URI that starts with redis://",
    ],
    [
      { ...good, retry: { initialMs: 20_000 } },
      "retry: found a first delay of 20000 ms and a longest of 10000 ms",
    ],
    [{ ...good, stream: "cdc.${table" }, "stream: found cdc.${table, expected after each ${ a path and a }"],
    [{ ...good, key: "${}" }, "key: found ${}, expected after each ${ a path and a }"],
    [{ ...good, fields: { id: "${ " } }, "fields.id: found ${ , expected after each ${ a path and a }"],
    [{ ...good, event: { postion: () => 1 } }, "event.postion: no such setting; did you mean position?"],
    [{ ...good, event: { position: "lsn" } }, "event.position: found lsn, expected a function of the event"],
    [{ ...good, event: null }, "event: found null, expected an object with id, position"],
    [{ ...good, connection: {} }, "uri: found a connection as well, expected one of them"],
    [{ ...good, uri: undefined }, "uri: found nothing, expected a uri, or a connection of ioredis"],
    [
      { id: "a", stream: "s", connection: null },
      "connection: found nothing, expected a Redis or Cluster of ioredis, as new Redis(…) makes it, or a uri in its place",
    ],
    [
      { id: "a", stream: "s", connection: "hunter2@h" },
      "connection: found text, expected a Redis or Cluster of ioredis",
    ],
    [
      { id: "a", stream: "s", connection: { host: "h", port: 6379, password: "hunter2" } },
      "connection: found the options of one, expected a Redis or Cluster of ioredis, as new Redis(…) makes it",
    ],
    [{ id: "a", stream: "s", connection: {} }, "connection: found an object, expected a Redis or Cluster"],
    [
      { id: "a", stream: "s", connection: Promise.resolve() },
      "connection: found a promise, expected a Redis or Cluster",
    ],
    [
      { id: "a", stream: "s", connection: createClient() },
      "connection: found a client of node-redis, expected a Redis or Cluster of ioredis",
    ],
    [{ id: "a", stream: "s", connection: createCluster({ rootNodes: [] }) }, "found a client of node-redis"],
    [undefined, "found nothing, expected an object with options"],
    ["redis://u:hunter2@h", "found text, expected an object with options"],
    [{ ...good, stream: "" }, 'stream: found "", expected a text or a function of the event'],
    [{ ...good, sendTimeoutMs: 0 }, "sendTimeoutMs: found 0, expected a number of milliseconds from 1"],
    [{ ...good, publish: () => "hunter2" }, "publish: found a function, expected script or multi"],
    [{ id: "a", stream: "s" }, "uri: found nothing, expected a uri, or a connection of ioredis"],
    [{ ...good, bufer: {} }, "bufer: no such option; did you mean buffer?"],
    [{ ...good, statu: { next: () => {} } }, "statu: no such option; did you mean status?"],
    [
      { ...good, deadLetters: { stream: good.stream } },
      "found orders.events as the stream of the dead letters",
    ],
    [
      { ...good, durability: { replicas: 1, timeoutMs: 1.5 } },
      "durability.timeoutMs: found 1.5, expected a whole",
    ],
    [
      { ...good, trim: { maxAgeMs: 1.5 } },
      "trim.maxAgeMs: found 1.5, expected a whole number of milliseconds",
    ],
    [
      { ...good, envelope: "native", event: { encode: () => "" } },
      "envelope: found event.encode as well, expected one of them: the function says by itself what an entry holds",
    ],
    [
      { ...good, envelope: "raw", event: entryCopies.event },
      "envelope: found event.content as well, expected one of them",
    ],
    [
      { ...good, fields: { id: "a" }, event: { content: () => ["a", "b"] } },
      "fields: found event.content as well, expected one of them",
    ],
    [
      { ...good, envelope: "flatt" },
      "envelope: found flatt, expected native or debezium or cloudevents or raw or flat",
    ],
    [
      { ...good, retry: { maxMs: 2 ** 31 } },
      "retry.maxMs: found 2147483648, expected a number of milliseconds",
    ],
  ])("are refused at once: %j", (options, complaint) => {
    expect(complaintOf(options)).toContain(complaint);
  });

  it.each(["multi", "pipeline"] as const)("may say publish: %s, which is one form", (publish) => {
    expect(complaintOf({ ...good, publish })).toBe("");
    expect(decodeTuning({ ...good, publish }, []).publish).toBe("multi");
  });

  it("are refused with all that is wrong with them", () => {
    const complaint = complaintOf({ ...good, id: "", window: 0 });

    expect(complaint).toContain("id: found");
    expect(complaint).toContain("window: found 0");
  });

  it("may hold observers, all that is read from an event, functions and no more than id, uri and stream", () => {
    const access: Required<EventAccess<{ position: number }, number>> = {
      id: () => "",
      position: ({ position }) => position,
      transaction: () => null,
      time: () => 0,
      encode: () => "",
      fields: () => ({}),
      content: () => [],
    };
    expect(complaintOf(good)).toBe("");
    expect(complaintOf({ ...good, fields: { id: "a" }, event: { encode: () => "" } })).toBe("");
    expect(complaintOf({ ...good, envelope: "flat", event: { fields: () => ({}) } })).toBe("");
    expect(complaintOf({ ...good, envelope: undefined, event: { encode: () => "" } })).toBe("");
    expect(
      complaintOf({
        ...good,
        stream: () => "s",
        event: access,
        status: { next: () => {} },
        retry: { maxRetries: 0 },
      }),
    ).toBe("");
  });
});

describe("the options of replicate and fanOut", () => {
  const sink = redisSink(good);

  it.each([
    [{ retrys: {} } as object, "replicate: retrys: no such option; did you mean retry?"],
    [{ retry: { maxMs: 2 ** 31 } }, "replicate: retry.maxMs: found 2147483648"],
    [{ retry: { initalMs: 5 } }, "replicate: retry.initalMs: no such setting; did you mean initialMs?"],
  ])("are refused at once: %j", (options, complaint) => {
    expect(() => replicate<unknown, StandardPosition>({ source: () => EMPTY, sink, ...options })).toThrow(
      complaint,
    );
  });

  it.each([
    [{ patience: 5 } as object, "fanOut: patience: no such option; did you mean patienceMs?"],
    [{ patienceMs: Number.POSITIVE_INFINITY }, "fanOut: patienceMs: found Infinity, expected a number of"],
    [{ maxLateEvents: 1.5 }, "fanOut: maxLateEvents: found 1.5, expected a whole number from 1 on"],
  ])("are refused at once: %j", (options, complaint) => {
    expect(() => fanOut([sink], { commit: "all", ...options })).toThrow(complaint);
    expect(() => fanOut([sink], "all", { ...options })).toThrow(complaint);
  });

  it("are refused at once where they are no policy", () => {
    for (const policy of ["any", 2, null, undefined, Symbol("all")]) {
      for (const make of [
        () => fanOut([sink], { commit: policy as Commit }),
        () => fanOut([sink], policy as Commit),
      ]) {
        if (policy === undefined) expect(make).not.toThrow();
        else
          expect(make).toThrow(
            `fanOut: found ${String(policy)} as policy, expected "required", "all" or { quorum: 2 }`,
          );
      }
    }
  });
});

describe("the options of consumers", () => {
  it.each([
    () => groupDeliveries({ uri: "redis://h", stream: "s", group: "g", ...{ consumr: "c" } }),
    () => streamEntries({ uri: "redis://h", stream: "s", ...{ consumr: "c" } }),
    () => watchGroup({ uri: "redis://h", stream: "s", group: "g", ...{ consumr: "c" } }),
  ])("are refused at once if they are none", (make) => {
    expect(make).toThrow("consumr: no such option; did you mean ");
  });
});
