import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { SinkMetrics } from "../sinkReport.ts";
import type { Status } from "../status.ts";

/** Which series a sink's metrics are, and where they are kept. */
export interface SinkMetricsOptions {
  /** The label `pipeline`. */
  readonly pipeline: string;
  /** The label `sink`: the sink's id. */
  readonly sink: string;
  /** Where the metrics are registered; several sinks may share one. Default: a new one. */
  readonly registry?: Registry;
}

/** From 100 µs, an idle sink on loopback, to a minute, an outage. */
const seconds = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];
const ofSink = ["pipeline", "sink"] as const;
const states = ["connecting", "publishing", "retrying", "rewound", "closed"] as const;

/** All metrics of a registry: made once, however many sinks share it. */
function define(registry: Registry) {
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name, help, labelNames: [...labelNames], registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Gauge({ name, help, labelNames: [...labelNames], registers });
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Histogram({ name, help, labelNames: [...labelNames], buckets: seconds, registers });

  return {
    events: counter("deltaforge_sink_events_total", "Events delivered", ofSink),
    batches: counter("deltaforge_sink_batch_total", "Batches delivered", ofSink),
    latency: histogram(
      "deltaforge_sink_latency_seconds",
      "From sending a batch to its acknowledgement, retries included",
      ofSink,
    ),
    stage: histogram(
      "deltaforge_stage_latency_seconds",
      "From the arrival of a batch's first event to its acknowledgement",
      ["pipeline", "stage"],
    ),
    bytes: counter("rxadd_sink_bytes_total", "Bytes of events delivered", ofSink),
    retries: counter("rxadd_sink_retries_total", "Failed attempts that were retried, by cause", [
      ...ofSink,
      "cause",
    ]),
    rewinds: counter("rxadd_sink_rewinds_total", "Times that Redis had lost acknowledged batches", ofSink),
    bufferedEvents: gauge("rxadd_sink_buffered_events", "Events in memory", ofSink),
    bufferedBytes: gauge("rxadd_sink_buffered_bytes", "Bytes of events in memory", ofSink),
    state: gauge("rxadd_sink_state", "1 for what the sink is doing, 0 for the rest", [...ofSink, "state"]),
    paused: gauge("rxadd_sink_paused", "1 while the source is paused because the buffer is full", ofSink),
    epoch: gauge("rxadd_sink_epoch", "The epoch with which this run publishes", ofSink),
  };
}

const defined = new WeakMap<Registry, ReturnType<typeof define>>();

/**
 * Makes the metrics of one sink, to pass as its option `metrics`; see docs/metrics.md.
 *
 * @example
 * ```ts
 * const metrics = sinkMetrics({ pipeline: "shop", sink: "orders-redis" });
 * changes$.pipe(redisSink({ id: "orders-redis", uri, stream, metrics }));
 * serveMetrics({ registry: metrics.registry }).subscribe();
 * ```
 */
export function sinkMetrics({
  pipeline,
  sink,
  registry = new Registry(),
}: SinkMetricsOptions): SinkMetrics & { readonly registry: Registry } {
  const all = defined.get(registry) ?? define(registry);
  defined.set(registry, all);

  const labels = { pipeline, sink };
  const events = all.events.labels(labels);
  const batches = all.batches.labels(labels);
  const bytes = all.bytes.labels(labels);
  const latency = all.latency.labels(labels);
  const stage = all.stage.labels({ pipeline, stage: "sink" });
  const bufferedEvents = all.bufferedEvents.labels(labels);
  const bufferedBytes = all.bufferedBytes.labels(labels);
  const rewinds = all.rewinds.labels(labels);
  // A series is there from the start, so that rate() sees its first step.
  for (const child of [events, batches, bytes, rewinds]) child.inc(0);
  for (const child of [bufferedEvents, bufferedBytes, all.paused.labels(labels)]) child.set(0);

  function showState(shown: (typeof states)[number]): void {
    for (const state of states) all.state.set({ ...labels, state }, state === shown ? 1 : 0);
  }

  function status(status: Status): void {
    switch (status.state) {
      case "opened":
        all.epoch.set(labels, status.epoch);
        showState("publishing");
        return;
      case "retrying":
        all.retries.inc({ ...labels, cause: status.cause._tag });
        showState("retrying");
        return;
      case "rewound":
        rewinds.inc();
        showState("rewound");
        return;
      case "connecting":
      case "publishing":
      case "closed":
        showState(status.state);
        return;
      case "paused":
      case "resumed":
        all.paused.set(labels, status.state === "paused" ? 1 : 0);
        return;
      case "warning":
        return;
    }
  }

  return {
    registry,
    status,
    published: (batch) => {
      events.inc(batch.events);
      batches.inc();
      bytes.inc(batch.bytes);
      latency.observe(batch.latencySeconds);
      stage.observe(batch.stageSeconds);
    },
    buffered: (fill) => {
      bufferedEvents.set(fill.items);
      bufferedBytes.set(fill.bytes);
    },
  };
}
