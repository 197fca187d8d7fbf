import { describe, expect, it } from "vitest";
import { rxaddError } from "../../src/errors/rxaddError.ts";
import { type Health, health, healthAfter, initialHealth } from "../../src/metrics/health.ts";
import type { AnyStatus } from "../../src/telemetry/states.ts";

const cause = rxaddError("Unreachable", "redis://h:1: no answer");
const ready: Health = { alive: true, ready: true, state: "publishing" };
const retrying: Health = { alive: true, ready: false, state: "retrying", cause: cause.message };

describe("healthAfter", () => {
  const cases: readonly (readonly [string, AnyStatus, Health])[] = [
    ["connecting is alive, not ready", { state: "connecting" }, initialHealth],
    [
      "an opened stream is ready before its first batch",
      { state: "opened", stream: "s", epoch: 1, position: undefined, foreignEntries: 0 },
      { alive: true, ready: true, state: "opened" },
    ],
    ["publishing is ready, and forgets the cause", { state: "publishing" }, ready],
    [
      "retrying is alive, not ready, and says why",
      { state: "retrying", attempt: 3, delayMs: 400, cause },
      retrying,
    ],
    [
      "a rewind is alive, not ready, and says why",
      { state: "rewound", cause },
      { alive: true, ready: false, state: "rewound", cause: cause.message },
    ],
    [
      "a sink that is done is alive, not ready",
      { state: "closed", cause: undefined },
      { alive: true, ready: false, state: "closed" },
    ],
    ["a consumer that reads is ready", { state: "reading" }, { alive: true, ready: true, state: "reading" }],
    [
      "one that waits for its handlers is ready",
      { state: "draining", deliveries: 3 },
      { alive: true, ready: true, state: "draining" },
    ],
    [
      "a sink that has ended with an error is neither, and says why",
      { state: "closed", cause },
      { alive: false, ready: false, state: "closed", cause: cause.message },
    ],
  ];

  it.each(cases)("%s", (_, status, expected) => {
    for (const health of [initialHealth, ready, retrying]) {
      expect(healthAfter(health, status)).toEqual(expected);
    }
  });

  it("is left alone by what concerns the source, and by warnings", () => {
    const beside: readonly AnyStatus[] = [
      { state: "paused", events: 10_000, bytes: 1 },
      { state: "resumed" },
      { state: "warning", message: "eviction" },
      { state: "gap", stream: "s", after: "1-0", before: "2-0", missed: 1 },
      { state: "claimed", stream: "s", entries: 1 },
      { state: "lost", stream: "s", entryId: "1-0" },
      { state: "deadLetter", stream: "s", entryId: "1-0", deliveries: 5, reason: "full" },
    ];
    for (const health of [initialHealth, ready, retrying]) {
      for (const status of beside) expect(healthAfter(health, status)).toBe(health);
    }
  });
});

describe("health", () => {
  it("starts as connecting and follows the statuses that it is told", () => {
    const { status, next, now } = health();
    expect(now()).toEqual(initialHealth);
    next({ state: "publishing" });
    expect(now()).toEqual(ready);
    status({ state: "retrying", attempt: 1, delayMs: 100, cause });
    next({ state: "paused", events: 1, bytes: 1 });
    expect(now()).toEqual(retrying);
  });
});
