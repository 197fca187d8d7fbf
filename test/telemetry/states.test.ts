import { describe, expect, it } from "vitest";
import { rxaddError } from "../../src/errors/rxaddError.ts";
import { consumerReporter } from "../../src/telemetry/consumerReporter.ts";
import type { ConsumerStatus } from "../../src/telemetry/consumerStatus.ts";
import { reporter } from "../../src/telemetry/reporter.ts";
import { type AnyStatus, consumerStates, levelOf, sinkStates } from "../../src/telemetry/states.ts";
import type { SinkStatus } from "../../src/telemetry/status.ts";
import { statusText } from "../../src/telemetry/statusText.ts";

/** One of each: the compiler sees to it that none is left out. */
type OneOfEach<S extends AnyStatus> = {
  readonly [State in S["state"]]: Extract<S, { readonly state: State }>;
};

const cause = rxaddError("Unreachable", "redis://h: connect ECONNREFUSED");
const retrying = { state: "retrying", attempt: 1, delayMs: 100, cause } as const;
const warning = { state: "warning", message: "careful" } as const;
const closed = { state: "closed", cause: undefined } as const;
const entry = { stream: "orders", entryId: "5-0" };

const ofSinks: OneOfEach<SinkStatus> = {
  ...{ retrying, warning, closed },
  connecting: { state: "connecting" },
  opened: { state: "opened", stream: "orders", epoch: 1, position: undefined, foreignEntries: 0 },
  publishing: { state: "publishing" },
  paused: { state: "paused", events: 1, bytes: 1 },
  resumed: { state: "resumed" },
  rewound: { state: "rewound", cause },
  deadLetter: { state: "deadLetter", id: "1", position: 1, cause },
  behind: { state: "behind", position: undefined, cause },
  replayed: { state: "replayed", stream: "orders", events: 1, position: 1 },
  lost: { state: "lost", stream: "orders", events: 1 },
  dropped: { state: "dropped", events: 1 },
};

const ofConsumers: OneOfEach<ConsumerStatus> = {
  ...{ retrying, warning, closed },
  connecting: { state: "connecting" },
  opened: { state: "opened", stream: "orders", isNew: true },
  reading: { state: "reading" },
  gap: { state: "gap", stream: "orders", after: "1-0", before: "3-0", missed: 1 },
  claimed: { state: "claimed", stream: "orders", entries: 1 },
  lost: { state: "lost", ...entry },
  gone: { state: "gone", ...entry },
  deleted: { state: "deleted", stream: "orders", entryIds: ["5-0"] },
  rejected: { state: "rejected", ...entry, deliveries: 1, delayMs: 1, reason: new Error("no mail") },
  deadLetter: { state: "deadLetter", ...entry, deliveries: 1, reason: "no mail" },
  draining: { state: "draining", deliveries: 1 },
};

describe("the states of sinks and consumers", () => {
  it.each([...Object.values(ofSinks), ...Object.values(ofConsumers)])(
    "$state has a level and a text",
    (status) => {
      expect(["debug", "info", "warn", "error"]).toContain(levelOf(status));
      expect(statusText(status)).toMatch(/\w/);
    },
  );

  it("are of the level of their own side, also where both have one of a name", () => {
    const found = (statuses: Readonly<Record<string, AnyStatus>>) =>
      Object.entries(statuses).map(([state, status]) => [state, levelOf(status)]);
    const expected = (states: Readonly<Record<string, { readonly level: string }>>) =>
      Object.entries(states).map(([state, { level }]) => [state, level]);

    expect(found(ofSinks).sort()).toEqual(expected(sinkStates).sort());
    expect(found(ofConsumers).sort()).toEqual(expected(consumerStates).sort());
  });

  it("are an error when they are the end with one", () => {
    expect(levelOf({ state: "closed", cause })).toBe("error");
  });
});

/** Both sides' reporters, told the same. */
const sides = [
  {
    side: "a sink",
    work: "publishing",
    make: (next: (status: AnyStatus) => void) =>
      reporter<SinkStatus>(sinkStates, { state: "publishing" }, next),
  },
  {
    side: "a consumer",
    work: "reading",
    make: (next: (status: AnyStatus) => void) => consumerReporter("test", { status: { next } }),
  },
];

describe.each(sides)("the reporter of $side", ({ work, make }) => {
  function reported() {
    const states: string[] = [];
    return { states, reporter: make(({ state }) => states.push(state)) };
  }
  const attempt = { attempt: 1, delayMs: 100, error: cause };

  it("tells that it works when that is news, whatever came beside it", () => {
    const { states, reporter } = reported();
    reporter.report({ state: "connecting" });
    reporter.reached();
    reporter.reached();
    reporter.report(warning);
    reporter.reached();
    reporter.failed(attempt);
    reporter.reached();

    expect(states).toEqual(["connecting", work, "warning", "retrying", work]);
  });

  it("tells its end once, and nothing after that", () => {
    const { states, reporter } = reported();
    reporter.reached();
    reporter.closed(cause);
    reporter.closed(undefined);
    reporter.report(warning);
    reporter.reached();

    expect(states).toEqual([work, "closed"]);
  });

  it("tells delays in whole milliseconds, however they were jittered", () => {
    const delays: unknown[] = [];
    const reporter = make((status) => delays.push("delayMs" in status && status.delayMs));
    reporter.failed({ ...attempt, delayMs: 86.231_294_702_003_38 });

    expect(delays).toEqual([86]);
  });

  it("tells attempts that have failed by an error of Redis alone", () => {
    const { states, reporter } = reported();
    reporter.failed({ ...attempt, error: new Error("a fault of the program") });
    reporter.failed(attempt);

    expect(states).toEqual(["retrying"]);
  });
});
