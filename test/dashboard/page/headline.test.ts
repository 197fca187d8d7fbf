import { describe, expect, it } from "vitest";
import { headlineOf } from "../../../src/dashboard/page/headline.ts";
import type { SinkSnapshot } from "../../../src/dashboard/sinkSnapshot.ts";

const cause = { tag: "Unreachable", message: "redis://localhost:6379: connect ECONNREFUSED" };
const calm: SinkSnapshot = {
  sink: "shop",
  atMs: 10_000,
  state: { name: "publishing" },
  sinceMs: 1_000,
  isPaused: false,
  epoch: 1,
  streams: ["orders.events"],
  events: 0,
  batches: 0,
  bytes: 0,
  eventsPerSecond: 0,
  latencyMs: undefined,
  batchEvents: undefined,
  buffer: { items: 0, bytes: 0, maxItems: 20_000, maxBytes: 1 },
  waitingMs: 0,
  retries: 0,
  rewinds: 0,
  deadLetters: 0,
  checkpoint: undefined,
  behindMs: undefined,
  notices: [],
};
const waiting = { items: 512, bytes: 1, maxItems: 20_000, maxBytes: 1 };

/** Mood, title and the rest, as it is read. */
function read(status: Partial<SinkSnapshot>): string {
  const { mood, title, reason, detail } = headlineOf({ ...calm, ...status });
  return `${mood}: ${title}. ${reason} ${detail}`.trim();
}

describe("headlineOf", () => {
  it.each<[string, Partial<SinkSnapshot>, string]>([
    ["an idle sink", {}, "good: Publishing. Into orders.events. Nothing to do: all events are in Redis."],
    [
      "a busy one",
      { eventsPerSecond: 1234.5, streams: ["a", "b", "c"] },
      "good: Publishing. Into a and 2 other streams. 1,235 events a second.",
    ],
    [
      "an outage",
      {
        state: { name: "retrying", cause, attempt: 2, nextAttemptMs: 10_400 },
        buffer: waiting,
        isPaused: true,
      },
      `trouble: Retrying. ${cause.message} For 9.0 s. Attempt 3 in 400 ms. 512 events wait in memory, none is lost. The source is told to wait.`,
    ],
    [
      "a Redis that does not answer",
      { waitingMs: 3000, buffer: { ...waiting, items: 1 } },
      "trouble: Waiting for Redis. Redis is connected and does not answer. For 3.0 s. 1 event waits in memory, none is lost.",
    ],
    [
      "a takeover",
      { state: { name: "fenced", cause } },
      `bad: Fenced. Another process has taken over this sink; this one has stopped. ${cause.message}`,
    ],
    [
      "a rewind",
      { state: { name: "rewound", cause } },
      `trouble: Going back. Redis has lost what it had acknowledged; the source sends it again. ${cause.message}`,
    ],
    [
      "an optional sink that was left behind",
      { state: { name: "behind", cause } },
      `bad: Behind. ${cause.message} The other sinks go on without it, until the next start.`,
    ],
    ["an error", { state: { name: "failed", cause } }, `bad: Failed. ${cause.message}`],
    [
      "a sink before its first subscription",
      { state: { name: "starting" } },
      "idle: Not started. Nobody has subscribed to the sink yet.",
    ],
    [
      "a connection that opens",
      { state: { name: "connecting" } },
      "idle: Connecting. Opening the connection to Redis.",
    ],
    ["the end", { state: { name: "closed" } }, "idle: Closed. It is done, or was stopped."],
  ])("puts %s into words", (_, status, expected) => {
    expect(read(status)).toBe(expected);
  });
});
