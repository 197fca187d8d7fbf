import { describe, expect, it } from "vitest";
import { redisMetrics } from "../../src/metrics/index.ts";
import type { StreamGroup } from "../../src/telemetry/groupFigures.ts";
import type { RedisFigures } from "../../src/telemetry/redisFigures.ts";
import { scrape } from "../kit/program/scrape.ts";

const ofSink = 'pipeline="shop",sink="orders-redis"';

function figures(group: Partial<StreamGroup> = {}): RedisFigures {
  return {
    atMs: 1,
    memoryBytes: 3000,
    maxMemoryBytes: 4000,
    streams: [
      {
        stream: "orders",
        length: 7,
        memoryBytes: 900,
        groups: [{ group: "mailer", lag: 4, pending: 2, lastDeliveredId: "0-0", consumers: 1, ...group }],
        entries: [],
      },
    ],
  };
}

describe("redisMetrics", () => {
  it("shows how streams, groups and their server stand", async () => {
    const metrics = redisMetrics({ pipeline: "shop", sink: "orders-redis" });
    metrics.next(figures());
    expect(Object.fromEntries(await scrape(metrics.registry))).toEqual({
      [`rxadd_stream_length{${ofSink},stream="orders"}`]: 7,
      [`rxadd_stream_memory_bytes{${ofSink},stream="orders"}`]: 900,
      [`rxadd_redis_memory_bytes{${ofSink}}`]: 3000,
      [`rxadd_redis_max_memory_bytes{${ofSink}}`]: 4000,
      'rxadd_consumer_group_lag{stream="orders",group="mailer"}': 4,
      'rxadd_consumer_group_pending{stream="orders",group="mailer"}': 2,
      'rxadd_consumer_group_consumers{stream="orders",group="mailer"}': 1,
    });
  });

  it("shows no lag that Redis cannot tell", async () => {
    const metrics = redisMetrics({ pipeline: "shop", sink: "orders-redis" });
    metrics.next(figures());
    metrics.next(figures({ lag: undefined }));
    const samples = await scrape(metrics.registry);
    expect([...samples.keys()].filter((name) => name.startsWith("rxadd_consumer_group_lag"))).toEqual([]);
  });

  it("shows nothing that the user may not ask", async () => {
    const metrics = redisMetrics({ pipeline: "shop", sink: "orders-redis" });
    const nothing = { length: undefined, memoryBytes: undefined, groups: undefined, entries: undefined };
    metrics.next({
      ...{ atMs: 1, memoryBytes: undefined, maxMemoryBytes: undefined },
      streams: [{ stream: "orders", ...nothing }],
    });
    expect((await scrape(metrics.registry)).size).toBe(0);
  });

  it("has no series of a stream or a group that is gone", async () => {
    const metrics = redisMetrics({ pipeline: "shop", sink: "orders-redis" });
    metrics.next(figures());
    metrics.next({ ...figures(), streams: figures().streams.map((stream) => ({ ...stream, groups: [] })) });
    const ofGroup = [...(await scrape(metrics.registry)).keys()].filter((name) => name.includes("group"));
    expect(ofGroup).toEqual([]);

    for (let n = 0; n < 100; n += 1) {
      metrics.next({
        ...figures(),
        streams: figures().streams.map((stream) => ({ ...stream, stream: `s${n}` })),
      });
    }
    const ofStream = [...(await scrape(metrics.registry)).keys()].filter((name) => name.includes("stream="));
    expect(ofStream).toHaveLength(5);
    expect(ofStream.every((name) => name.includes('stream="s99"'))).toBe(true);
  });
});
