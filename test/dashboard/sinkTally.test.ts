import { describe, expect, it } from "vitest";
import { sinkTally } from "../../src/dashboard/sinkTally.ts";
import { rxaddError } from "../../src/errors/rxaddError.ts";

const start = 1_000_000;
const refused = rxaddError("Unreachable", "redis://localhost:6379: connect ECONNREFUSED");
const retrying = { state: "retrying", attempt: 1, delayMs: 400, cause: refused } as const;
const opened = { state: "opened", stream: "orders", epoch: 3, position: 7, foreignEntries: 0 } as const;
const limits = { maxItems: 20_000, maxBytes: 67_108_864 };
const reached = {
  sink: "shop",
  stream: "orders",
  position: 9,
  sequence: 2,
  events: 2,
  replayed: 0,
  entryId: "5-0",
};

/** A tally, and a clock that goes when it is told. */
function tallied() {
  let nowMs = start;
  const tally = sinkTally("shop", () => nowMs);
  const texts = () => tally.now().notices.map(({ text }) => text);
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { tally, texts, pass };
}

describe("sinkTally", () => {
  it("begins as a sink that nobody has subscribed to", () => {
    const { tally } = tallied();
    expect(tally.now()).toMatchObject({
      sink: "shop",
      state: { name: "starting" },
      events: 0,
      eventsPerSecond: 0,
      latencyMs: undefined,
      checkpoint: undefined,
      behindMs: undefined,
      notices: [],
    });
  });

  it("says why a sink retries, and when next", () => {
    const { tally, pass } = tallied();
    tally.status(opened);
    pass(1000);
    tally.status(retrying);
    pass(100);
    expect(tally.now()).toMatchObject({
      state: {
        name: "retrying",
        attempt: 1,
        nextAttemptMs: start + 1400,
        cause: { tag: "Unreachable", message: refused.message },
      },
      sinceMs: start + 1000,
      retries: 1,
      epoch: 3,
    });
  });

  it("tells an outage in two lines, however many attempts it takes", () => {
    const { tally, texts, pass } = tallied();
    tally.status(opened);
    for (let attempt = 1; attempt <= 30; attempt += 1) {
      tally.status({ ...retrying, attempt });
      pass(100);
    }
    tally.buffered({ items: 1234, bytes: 1, ...limits });
    tally.status({ state: "publishing" });
    expect(texts()).toEqual([
      "publishing again after 3.0 s; 1,234 events waited, none is lost",
      `retrying: ${refused.message}`,
      "orders: publishing after position 7, epoch 3",
    ]);
  });

  it("tells another reason within an outage", () => {
    const { tally, texts } = tallied();
    tally.status(retrying);
    tally.status({ ...retrying, cause: rxaddError("Loading", "it loads its data") });
    expect(texts()).toEqual(["retrying: it loads its data", `retrying: ${refused.message}`]);
  });

  it.each([
    [
      "another writer's takeover",
      rxaddError("Fenced", "epoch 4 took over", undefined, { epoch: 3, storedEpoch: 4 }),
      "fenced",
    ],
    ["any other error", rxaddError("WrongType", "orders is a string"), "failed"],
    ["an error of the source", new TypeError("no such column"), "failed"],
  ])("tells %s", (_, cause, name) => {
    const { tally, texts } = tallied();
    tally.status({ state: "closed", cause });
    expect(tally.now().state).toMatchObject({ name, cause: { message: cause.message } });
    expect(texts()).toEqual([`ended: ${cause.message}`]);
  });

  it("says nothing of an end without an error", () => {
    const { tally, texts } = tallied();
    tally.status({ state: "closed", cause: undefined });
    expect(tally.now().state).toEqual({ name: "closed" });
    expect(texts()).toEqual([]);
  });

  it("stays rewound while it opens again", () => {
    const { tally } = tallied();
    tally.status({
      state: "rewound",
      cause: rxaddError("RewindRequired", "lost", undefined, { position: undefined }),
    });
    tally.status({ state: "connecting" });
    expect(tally.now()).toMatchObject({ state: { name: "rewound" }, rewinds: 1 });
    tally.status(opened);
    expect(tally.now().state.name).toBe("publishing");
  });

  it("forgets what a subscription that is over had in memory", () => {
    for (const over of [
      { state: "connecting" },
      { state: "closed", cause: undefined },
      { state: "behind", position: undefined, cause: refused },
    ] as const) {
      const { tally } = tallied();
      tally.buffered({ items: 10_000, bytes: 5, ...limits });
      tally.status({ state: "paused", events: 10_000, bytes: 5 });
      tally.status(over);
      expect(tally.now()).toMatchObject({ buffer: { items: 0, bytes: 0 }, isPaused: false, waitingMs: 0 });
    }
  });

  it("says how long nothing was acknowledged although something waits", () => {
    const { tally, pass } = tallied();
    const buffered = (items: number) => tally.buffered({ items, bytes: items, ...limits });
    buffered(0);
    pass(60_000);
    buffered(1);
    pass(500);
    buffered(2);
    pass(500);
    expect(tally.now().waitingMs).toBe(1000);
    buffered(1);
    pass(200);
    expect(tally.now().waitingMs).toBe(200);
    buffered(0);
    expect(tally.now().waitingMs).toBe(0);
  });

  it("is as far behind as the newest safe event was, and further while more waits", () => {
    const { tally, pass } = tallied();
    pass(30);
    tally.checkpoint(reached, start);
    pass(5000);
    expect(tally.now().behindMs).toBe(30);
    tally.buffered({ items: 1, bytes: 1, ...limits });
    expect(tally.now().behindMs).toBe(5030);
  });

  it("is not behind a source whose clock is ahead", () => {
    const { tally } = tallied();
    tally.checkpoint(reached, start + 500);
    expect(tally.now().behindMs).toBe(0);
  });

  it("adds up batches, over a window and in all", () => {
    const { tally, pass } = tallied();
    tally.now();
    for (const events of [100, 300]) {
      tally.published({ events, bytes: events, latencySeconds: 0.002, stageSeconds: 1 });
    }
    pass(1000);
    const { latencyMs, batchEvents, ...now } = tally.now();
    expect(now).toMatchObject({ events: 400, batches: 2, bytes: 400, eventsPerSecond: 400 });
    expect(latencyMs?.p50).toBeCloseTo(2, 1);
    expect(batchEvents).toEqual({ mean: 200, max: 300 });
  });

  it("knows the streams by their last checkpoint, no templates, and no more than 12", () => {
    const { tally } = tallied();
    tally.status({ ...opened, stream: "cdc.${source.table}" });
    tally.status({ ...opened, stream: "(computed)" });
    expect(tally.now().streams).toEqual([]);
    for (let index = 0; index < 20; index += 1)
      tally.checkpoint({ ...reached, stream: `s${index}` }, undefined);
    tally.checkpoint({ ...reached, stream: "s10" }, undefined);
    expect(tally.now().streams).toHaveLength(12);
    expect(tally.now().streams.slice(0, 2)).toEqual(["s10", "s19"]);
  });

  it("keeps the newest 20 of many dead letters", () => {
    const { tally, texts } = tallied();
    for (let index = 1; index <= 1000; index += 1) {
      tally.status({ state: "deadLetter", id: `${index}`, position: index, cause: refused });
    }
    expect(tally.now().deadLetters).toBe(1000);
    expect(texts()).toHaveLength(20);
    expect(texts()[0]).toBe(`set aside at position 1000: ${refused.message}`);
  });

  it("is fit for JSON", () => {
    const { tally } = tallied();
    tally.status(opened);
    tally.status(retrying);
    tally.checkpoint({ ...reached, position: 12n }, start);
    const now = tally.now();
    expect(JSON.parse(JSON.stringify(now))).toEqual(JSON.parse(JSON.stringify({ ...now })));
    expect(now.checkpoint?.position).toBe("12");
  });
});
