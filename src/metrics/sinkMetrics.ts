import { Registry } from "prom-client";
import { retryCauses } from "../errors/rxaddError.ts";
import { refuseUnknown } from "../options/decodeOptions.ts";
import type { SinkObserver } from "../telemetry/sinkObserver.ts";
import type { SinkStatus } from "../telemetry/status.ts";
import { metricFamilies } from "./metricFamilies.ts";

/** Which series a sink's metrics are, and where they are kept. */
export interface SinkMetricsOptions {
  /** The label `pipeline`. */
  readonly pipeline: string;
  /** The label `sink`: the sink's id. */
  readonly sink: string;
  /** Where the metrics are registered; several sinks may share one. Default: a new one. */
  readonly registry?: Registry;
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
  const { pipeline, sink, registry = new Registry() } = options;
  const families = metricFamilies(registry);
  const labels = { pipeline, sink };
  const events = families.events.labels(labels);
  const batches = families.batches.labels(labels);
  const bytes = families.bytes.labels(labels);
  const batchEvents = families.batchEvents.labels(labels);
  const latency = families.latency.labels(labels);
  const stage = families.stage.labels({ pipeline, stage: "sink" });
  const rewinds = families.rewinds.labels(labels);
  const replayed = families.replayed.labels(labels);
  const deadLetters = families.deadLetters.labels(labels);
  const bufferedEvents = families.bufferedEvents.labels(labels);
  const bufferedBytes = families.bufferedBytes.labels(labels);
  const checkpoint = families.checkpoint.labels(labels);
  const lag = families.lag.labels(labels);
  const paused = families.state.labels({ ...labels, state: "paused" });

  function show(shown?: (typeof states)[number]): void {
    for (const state of states) families.state.set({ ...labels, state }, state === shown ? 1 : 0);
  }

  /** A subscription that begins or ends has nothing in memory, whatever the one before it had. */
  function empty(): void {
    for (const gauge of [bufferedEvents, bufferedBytes, paused]) gauge.set(0);
  }

  // Counters are there from the start: rate() cannot see the step from nothing to the first value.
  for (const counter of [events, batches, bytes, rewinds, deadLetters, replayed]) counter.inc(0);
  for (const cause of retryCauses) families.retries.inc({ ...labels, cause }, 0);
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
        families.epoch.set(labels, status.epoch);
        show("publishing");
        break;
      case "publishing":
        show("publishing");
        break;
      case "retrying":
        families.retries.inc({ ...labels, cause: status.cause._tag });
        show("retrying");
        break;
      case "rewound":
        rewinds.inc();
        empty();
        show("retrying");
        break;
      case "paused":
      case "resumed":
        paused.set(status.state === "paused" ? 1 : 0);
        break;
      case "deadLetter":
        deadLetters.inc();
        break;
      case "replayed":
        replayed.inc(status.events);
        break;
      case "warning":
    }
  }

  return {
    registry,
    status,
    published: (batch) => {
      events.inc(batch.events);
      batches.inc();
      batchEvents.observe(batch.events);
      bytes.inc(batch.bytes);
      latency.observe(batch.latencySeconds);
      stage.observe(batch.stageSeconds);
    },
    buffered: (fill) => {
      bufferedEvents.set(fill.items);
      bufferedBytes.set(fill.bytes);
      families.bufferMaxEvents.set(labels, fill.maxItems);
      families.bufferMaxBytes.set(labels, fill.maxBytes);
    },
    checkpoint: (_, eventTimeMs) => {
      const nowMs = Date.now();
      checkpoint.set(nowMs / 1000);
      // The source's clock may be ahead of this one.
      if (eventTimeMs !== undefined) lag.set(Math.max(0, nowMs - eventTimeMs) / 1000);
    },
  };
}
