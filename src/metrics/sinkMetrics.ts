import type { Registry } from "prom-client";
import { retryCauses } from "../errors/rxaddError.ts";
import { refuseUnknown } from "../options/decodeOptions.ts";
import type { SinkObserver } from "../telemetry/sinkObserver.ts";
import type { SinkStatus } from "../telemetry/status.ts";
import { type MetricsRegistry, registryOf } from "./metricsRegistry.ts";
import { sinkSeries } from "./sinkSeries.ts";

/** Which series a sink's metrics are, and where they are kept. */
export interface SinkMetricsOptions {
  /** The label `pipeline`. */
  readonly pipeline: string;
  /** The label `sink`: the sink's id. */
  readonly sink: string;
  /** Where the metrics are registered; several sinks may share one. Default: a new one. */
  readonly registry?: MetricsRegistry;
}

export const sinkMetricsNames = { pipeline: true, sink: true, registry: true } as const;

const states = ["connecting", "publishing", "retrying", "behind", "closed"] as const;

/**
 * Makes the metrics of one sink, to pass as one of its `observers`; docs/metrics.md lists them.
 *
 * Without a `registry` they get one of their own, never the global one of prom-client. It fails when
 * the registry has a metric of another kind under one of the names, and with `ConfigurationInvalid` on an option that there is not.
 *
 * @example
 * ```ts
 * const metrics = sinkMetrics({ pipeline: "shop", sink: "orders-redis" });
 * changes$.pipe(redisSink({ id: "orders-redis", uri, stream, observers: [metrics, statusLogger(log)] }));
 * serveMetrics({ registry: metrics.registry }).subscribe();
 * ```
 */
export function sinkMetrics(
  options: SinkMetricsOptions,
): Required<SinkObserver> & { readonly registry: Registry } {
  refuseUnknown("sinkMetrics", options, sinkMetricsNames);
  const { pipeline, sink } = options;
  const registry = registryOf(options.registry);
  const labels = { pipeline, sink };
  const series = sinkSeries(registry, labels);
  const paused = series.state.labels({ ...labels, state: "paused" });

  function show(shown?: (typeof states)[number]): void {
    for (const state of states) series.state.set({ ...labels, state }, state === shown ? 1 : 0);
  }

  /** A subscription that begins or ends has nothing in memory, whatever the one before it had. */
  function empty(): void {
    for (const gauge of [series.bufferedEvents, series.bufferedBytes, paused]) gauge.set(0);
  }

  for (const cause of retryCauses) series.retries.inc({ ...labels, cause }, 0);
  show();
  empty();

  function status(status: SinkStatus): void {
    switch (status.state) {
      case "connecting":
      case "behind":
      case "closed":
        empty();
        show(status.state);
        break;
      case "opened":
        series.epoch.set(status.epoch);
        show("publishing");
        break;
      case "publishing":
        show("publishing");
        break;
      case "retrying":
        series.retries.inc({ ...labels, cause: status.cause._tag });
        show("retrying");
        break;
      case "rewound":
        series.rewinds.inc();
        empty();
        show("retrying");
        break;
      case "paused":
      case "resumed":
        paused.set(status.state === "paused" ? 1 : 0);
        break;
      case "deadLetter":
        series.deadLetters.inc();
        break;
      case "replayed":
        series.replayed.inc(status.events);
        break;
      case "lost":
        series.lost.inc(status.events);
        break;
      case "dropped":
        series.dropped.inc(status.events);
        break;
      case "warning":
    }
  }

  return {
    registry,
    status,
    published: (batch) => {
      series.events.inc(batch.events);
      series.batches.inc();
      series.batchEvents.observe(batch.events);
      series.bytes.inc(batch.bytes);
      series.latency.observe(batch.latencySeconds);
      series.stage.observe(batch.stageSeconds);
    },
    buffered: (fill) => {
      series.bufferedEvents.set(fill.items);
      series.bufferedBytes.set(fill.bytes);
      series.bufferMaxEvents.set(fill.maxItems);
      series.bufferMaxBytes.set(fill.maxBytes);
    },
    checkpoint: (_, eventTimeMs) => {
      const nowMs = Date.now();
      series.checkpoint.set(nowMs / 1000);
      // The source's clock may be ahead of this one.
      if (eventTimeMs !== undefined) series.lag.set(Math.max(0, nowMs - eventTimeMs) / 1000);
    },
  };
}
