import type { Registry } from "prom-client";
import type { Observer } from "rxjs";
import { refuseUnknown } from "../options/decodeOptions.ts";
import type { RedisFigures } from "../telemetry/redisFigures.ts";
import { familiesIn } from "./familiesIn.ts";
import { groupFamilies } from "./groupFamilies.ts";
import { registryOf } from "./metricsRegistry.ts";
import { type SinkMetricsOptions, sinkMetricsNames } from "./sinkMetrics.ts";

/** Shows how a sink's streams and their server stand. */
export interface RedisMetrics extends Pick<Observer<RedisFigures>, "next"> {
  readonly registry: Registry;
}

/**
 * Makes the metrics of a sink's streams and of their server, for what `watchSink` of `rxadd/dashboard` emits, which is no more
 * than 12 streams; docs/metrics.md lists them. A stream or a group that is not told of any more has no series any more.
 *
 * @example
 * ```ts
 * watchSink(sink).redisFigures$.subscribe(redisMetrics({ pipeline: "shop", sink: "orders-redis", registry }));
 * ```
 */
export function redisMetrics(options: SinkMetricsOptions): RedisMetrics {
  refuseUnknown("redisMetrics", options, sinkMetricsNames);
  const { pipeline, sink } = options;
  const registry = registryOf(options.registry);
  const { gauge } = familiesIn(registry);
  const labels = { pipeline, sink };
  const ofSink = ["pipeline", "sink"] as const;
  const ofStream = [...ofSink, "stream"] as const;
  const { lag, pending, consumers } = groupFamilies(registry);
  const length = gauge("rxadd_stream_length", "Entries in the stream", ofStream);
  const bytes = gauge("rxadd_stream_memory_bytes", "Memory that the stream takes", ofStream);
  const memory = gauge("rxadd_redis_memory_bytes", "Memory that Redis uses", ofSink);
  const maxMemory = gauge("rxadd_redis_max_memory_bytes", "Memory that Redis may use; 0: no limit", ofSink);

  /** The groups of each stream that has series. */
  let shown: ReadonlyMap<string, readonly string[]> = new Map();

  function forget(stream: string, group?: string): void {
    if (group !== undefined) {
      for (const gauge of [lag, pending, consumers]) gauge.remove({ stream, group });
      return;
    }
    for (const gauge of [length, bytes]) gauge.remove({ ...labels, stream });
  }

  return {
    registry,
    next: ({ memoryBytes, maxMemoryBytes, streams }) => {
      if (memoryBytes !== undefined) memory.set(labels, memoryBytes);
      if (maxMemoryBytes !== undefined) maxMemory.set(labels, maxMemoryBytes);
      const now = new Map(
        streams.map(({ stream, groups = [] }) => [stream, groups.map(({ group }) => group)]),
      );
      for (const [stream, groups] of shown) {
        if (!now.has(stream)) forget(stream);
        for (const group of groups) if (now.get(stream)?.includes(group) !== true) forget(stream, group);
      }
      shown = now;
      for (const { stream, groups = [], ...figures } of streams) {
        if (figures.length !== undefined) length.set({ ...labels, stream }, figures.length);
        if (figures.memoryBytes !== undefined) bytes.set({ ...labels, stream }, figures.memoryBytes);
        for (const { group, ...of } of groups) {
          if (of.lag === undefined) lag.remove({ stream, group });
          else lag.set({ stream, group }, of.lag);
          pending.set({ stream, group }, of.pending);
          consumers.set({ stream, group }, of.consumers);
        }
      }
    },
  };
}
