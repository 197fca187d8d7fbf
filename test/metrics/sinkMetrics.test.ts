import { Gauge, Registry, register } from "prom-client";
import { from, lastValueFrom } from "rxjs";
import { describe, expect, it } from "vitest";
import { rxaddError } from "../../src/errors/rxaddError.ts";
import { sinkMetrics } from "../../src/metrics/index.ts";
import { redisSink } from "../../src/sink/redisSink.ts";
import { scrape } from "../kit/program/scrape.ts";
import { startRedis } from "../kit/servers/redisServer.ts";

const ofSink = 'pipeline="shop",sink="orders-redis"';
const retryable = rxaddError("Unreachable", "no answer");
const opened = {
  state: "opened",
  stream: "orders",
  epoch: 7,
  position: undefined,
  foreignEntries: 0,
} as const;

function ofOrders(registry?: Registry) {
  return sinkMetrics({
    pipeline: "shop",
    sink: "orders-redis",
    ...(registry === undefined ? {} : { registry }),
  });
}

/** The states that are shown as 1. */
async function shownStates(registry: Registry): Promise<readonly string[]> {
  return [...(await scrape(registry))]
    .filter(([sample, value]) => sample.startsWith("rxadd_sink_state{") && value === 1)
    .map(([sample]) => /state="(\w+)"/.exec(sample)?.[1] ?? sample);
}

describe("sinkMetrics", () => {
  it("has every counter, gauge and state at 0 before the first event", async () => {
    const samples = await scrape(ofOrders().registry);
    for (const name of [
      "deltaforge_sink_events_total",
      "deltaforge_sink_batch_total",
      "rxadd_sink_bytes_total",
      "rxadd_sink_rewinds_total",
      "rxadd_sink_buffered_events",
      "rxadd_sink_buffered_bytes",
    ]) {
      expect(samples.get(`${name}{${ofSink}}`), name).toBe(0);
    }
    for (const state of ["connecting", "publishing", "retrying", "behind", "paused", "closed"]) {
      expect(samples.get(`rxadd_sink_state{${ofSink},state="${state}"}`), state).toBe(0);
    }
    for (const cause of ["Unreachable", "OutOfMemory", "ConnectionLost"]) {
      expect(samples.get(`rxadd_sink_retries_total{${ofSink},cause="${cause}"}`), cause).toBe(0);
    }
  });

  it("adds up batches, and observes how long they took", async () => {
    const metrics = ofOrders();
    metrics.published({ events: 500, bytes: 110_000, latencySeconds: 0.002, stageSeconds: 0.02 });
    metrics.published({ events: 20, bytes: 4_000, latencySeconds: 42, stageSeconds: 42 });
    const samples = await scrape(metrics.registry);
    expect(samples.get(`deltaforge_sink_events_total{${ofSink}}`)).toBe(520);
    expect(samples.get(`deltaforge_sink_batch_total{${ofSink}}`)).toBe(2);
    expect(samples.get(`rxadd_sink_bytes_total{${ofSink}}`)).toBe(114_000);
    expect(samples.get(`rxadd_sink_batch_events_sum{${ofSink}}`)).toBe(520);
    expect(samples.get(`deltaforge_sink_latency_seconds_count{${ofSink}}`)).toBe(2);
    expect(samples.get(`deltaforge_sink_latency_seconds_sum{${ofSink}}`)).toBeCloseTo(42.002);
    const stage = 'pipeline="shop",stage="sink"';
    expect(samples.get(`deltaforge_stage_latency_seconds_count{${stage}}`)).toBe(2);
    expect(samples.get(`deltaforge_stage_latency_seconds_sum{${stage}}`)).toBeCloseTo(42.02);
  });

  it("shows when the last checkpoint came and how far behind the source it was, once there is one", async () => {
    const metrics = ofOrders();
    const lag = `rxadd_sink_lag_seconds{${ofSink}}`;
    const reached = {
      sink: "a",
      stream: "s",
      position: 1,
      sequence: 1,
      events: 1,
      replayed: 0,
      entryId: "1-0",
    };
    expect((await scrape(metrics.registry)).has(lag)).toBe(false);
    metrics.checkpoint?.(reached, Date.now() - 30_000);
    const samples = await scrape(metrics.registry);
    expect(Math.round(samples.get(lag) ?? 0)).toBe(30);
    const at = samples.get(`rxadd_sink_checkpoint_timestamp_seconds{${ofSink}}`) ?? 0;
    expect(Math.abs(at - Date.now() / 1000)).toBeLessThan(60);
    metrics.checkpoint?.(reached, Date.now() + 30_000);
    expect((await scrape(metrics.registry)).get(lag)).toBe(0);
  });

  it("tells latencies apart from 100 µs to 60 s", async () => {
    const metrics = ofOrders();
    for (const seconds of [0.00009, 0.0002, 59, 61]) {
      metrics.published({ events: 1, bytes: 1, latencySeconds: seconds, stageSeconds: seconds });
    }
    const samples = await scrape(metrics.registry);
    for (const name of ["deltaforge_sink_latency_seconds", "deltaforge_stage_latency_seconds"]) {
      const within = (le: string) =>
        [...samples].find(([s]) => s.startsWith(`${name}_bucket`) && s.includes(`le="${le}"`))?.[1];
      expect(["0.0001", "0.00025", "30", "60", "+Inf"].map(within)).toEqual([1, 2, 2, 3, 4]);
    }
  });

  it("shows what the sink is doing, one state at a time", async () => {
    const metrics = ofOrders();
    expect(await shownStates(metrics.registry)).toEqual([]);
    metrics.status({ state: "connecting" });
    expect(await shownStates(metrics.registry)).toEqual(["connecting"]);
    metrics.status(opened);
    expect(await shownStates(metrics.registry)).toEqual(["publishing"]);
    metrics.status({ state: "retrying", attempt: 1, delayMs: 100, cause: retryable });
    metrics.status({ state: "warning", message: "eviction" });
    expect(await shownStates(metrics.registry)).toEqual(["retrying"]);
    metrics.status({ state: "publishing" });
    expect(await shownStates(metrics.registry)).toEqual(["publishing"]);
    metrics.status({ state: "closed", cause: retryable });
    expect(await shownStates(metrics.registry)).toEqual(["closed"]);
  });

  it("shows a paused source beside what the sink is doing", async () => {
    const metrics = ofOrders();
    metrics.status({ state: "retrying", attempt: 1, delayMs: 100, cause: retryable });
    metrics.status({ state: "paused", events: 10_000, bytes: 1 });
    expect(new Set(await shownStates(metrics.registry))).toEqual(new Set(["retrying", "paused"]));
    metrics.status({ state: "resumed" });
    expect(await shownStates(metrics.registry)).toEqual(["retrying"]);
  });

  it("forgets the buffer and the pause of a subscription that is over", async () => {
    for (const over of [
      { state: "connecting" },
      { state: "rewound", cause: retryable },
      { state: "closed", cause: undefined },
    ] as const) {
      const metrics = ofOrders();
      metrics.buffered({ items: 10_000, bytes: 2_200_000, maxItems: 20_000, maxBytes: 67_108_864 });
      metrics.status({ state: "paused", events: 10_000, bytes: 2_200_000 });
      const before = await scrape(metrics.registry);
      expect(before.get(`rxadd_sink_buffered_events{${ofSink}}`)).toBe(10_000);
      expect(before.get(`rxadd_sink_buffered_bytes{${ofSink}}`)).toBe(2_200_000);
      metrics.status(over);
      const after = await scrape(metrics.registry);
      expect(after.get(`rxadd_sink_buffered_events{${ofSink}}`)).toBe(0);
      expect(after.get(`rxadd_sink_buffered_bytes{${ofSink}}`)).toBe(0);
      expect(after.get(`rxadd_sink_state{${ofSink},state="paused"}`)).toBe(0);
    }
  });

  it("counts retries by cause, rewinds, and shows the epoch", async () => {
    const metrics = ofOrders();
    metrics.status(opened);
    for (const attempt of [1, 2]) {
      metrics.status({ state: "retrying", attempt, delayMs: 100, cause: retryable });
    }
    const lost = rxaddError("RewindRequired", "lost", undefined, { position: undefined });
    metrics.status({ state: "rewound", cause: lost });
    const samples = await scrape(metrics.registry);
    expect(samples.get(`rxadd_sink_retries_total{${ofSink},cause="Unreachable"}`)).toBe(2);
    expect(samples.get(`rxadd_sink_retries_total{${ofSink},cause="OutOfMemory"}`)).toBe(0);
    expect(samples.get(`rxadd_sink_rewinds_total{${ofSink}}`)).toBe(1);
    expect(samples.get(`rxadd_sink_epoch{${ofSink}}`)).toBe(7);
  });

  it("lets sinks share a registry, each with its own series", async () => {
    const registry = new Registry();
    const batch = { events: 1, bytes: 1, latencySeconds: 1, stageSeconds: 1 };
    const orders = ofOrders(registry);
    orders.published(batch);
    const users = sinkMetrics({ pipeline: "shop", sink: "users-redis", registry });
    users.published({ ...batch, events: 5 });
    orders.published(batch);
    const samples = await scrape(registry);
    expect(samples.get(`deltaforge_sink_events_total{${ofSink}}`)).toBe(2);
    expect(samples.get('deltaforge_sink_events_total{pipeline="shop",sink="users-redis"}')).toBe(5);
    expect(samples.get('deltaforge_stage_latency_seconds_count{pipeline="shop",stage="sink"}')).toBe(3);
  });

  it("goes on counting where an earlier sink of the same name stopped", async () => {
    const registry = new Registry();
    for (let run = 0; run < 2; run += 1) {
      ofOrders(registry).published({ events: 2, bytes: 1, latencySeconds: 1, stageSeconds: 1 });
    }
    expect((await scrape(registry)).get(`deltaforge_sink_events_total{${ofSink}}`)).toBe(4);
  });

  it("leaves the global registry alone", () => {
    ofOrders();
    expect(register.getMetricsAsArray()).toEqual([]);
  });

  it("refuses a registry where one of its names is a metric of another kind", () => {
    const registry = new Registry();
    new Gauge({ name: "deltaforge_sink_events_total", help: "Mine", registers: [registry] });
    expect(() => ofOrders(registry)).toThrow("deltaforge_sink_events_total");
  });

  it("counts what a sink has published to a real server", async () => {
    const redis = await startRedis();
    try {
      const metrics = ofOrders();
      const events = Array.from({ length: 1200 }, (_, index) => ({ id: `${index}`, position: index + 1 }));
      const sink = redisSink<(typeof events)[number], number>({
        id: "orders-redis",
        uri: redis.uri,
        stream: "orders",
        metrics,
      });
      await lastValueFrom(from(events).pipe(sink));
      const samples = await scrape(metrics.registry);
      const batches = samples.get(`deltaforge_sink_batch_total{${ofSink}}`);
      expect(samples.get(`deltaforge_sink_events_total{${ofSink}}`)).toBe(1200);
      expect(samples.get(`rxadd_sink_bytes_total{${ofSink}}`)).toBe(
        events.reduce((bytes, event) => bytes + JSON.stringify(event).length, 0),
      );
      expect(batches).toBeGreaterThanOrEqual(3);
      expect(samples.get(`deltaforge_sink_latency_seconds_count{${ofSink}}`)).toBe(batches);
      expect(samples.get(`rxadd_sink_buffered_events{${ofSink}}`)).toBe(0);
      expect(samples.get(`rxadd_sink_epoch{${ofSink}}`)).toBe(1);
      expect(await shownStates(metrics.registry)).toEqual(["closed"]);
    } finally {
      await redis.stop();
    }
  });
});
