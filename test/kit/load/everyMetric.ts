import type { Registry } from "prom-client";
import { consumerMetrics, redisMetrics, sinkMetrics, snapshotMetrics } from "../../../src/metrics/index.ts";

/** Gives every metric that there is a value. */
export function everyMetric(registry: Registry): void {
  const sink = sinkMetrics({ pipeline: "shop", sink: "orders-redis", registry });
  sink.status({ state: "opened", stream: "orders", epoch: 1, position: undefined, foreignEntries: 0 });
  sink.status({ state: "replayed", stream: "orders", events: 1, position: 1 });
  sink.status({ state: "lost", stream: "orders", events: 1 });
  sink.status({ state: "dropped", events: 1 });
  sink.published({ events: 1, bytes: 1, latencySeconds: 1, stageSeconds: 1 });
  sink.checkpoint?.(
    { sink: "a", stream: "s", position: 1, sequence: 1, events: 1, replayed: 0, entryId: "1-0" },
    1,
  );
  sink.buffered({ items: 1, bytes: 1, maxItems: 2, maxBytes: 2 });
  redisMetrics({ pipeline: "shop", sink: "orders-redis", registry }).next({
    atMs: 0,
    memoryBytes: 1,
    maxMemoryBytes: 0,
    streams: [{ stream: "orders.events", length: 1, memoryBytes: 1, groups: [], entries: [] }],
  });
  const read = { table: "public.orders", rows: 1, estimated: 1, state: "read" } as const;
  snapshotMetrics({ pipeline: "shop", registry }).next(read);
  consumerMetrics({ group: "mailer", consumer: "one", registry }).group.next({
    ...{ stream: "orders.events", group: "mailer", length: 0, lag: 0, pending: 0 },
    ...{ lastDeliveredId: "0-0", consumers: [] },
  });
}
