import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** In seconds, from 100 µs, an idle sink on loopback, to a minute, an outage. */
const buckets = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];
const ofSink = ["pipeline", "sink"] as const;

/** All metrics of a registry by name and help: made once, then found, so that sinks can share it. */
export function metricFamilies(registry: Registry) {
  const registers = [registry];

  function counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    const found = registry.getSingleMetric(name);
    return found instanceof Counter ? found : new Counter({ name, help, labelNames, registers });
  }

  function gauge<L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> {
    const found = registry.getSingleMetric(name);
    return found instanceof Gauge ? found : new Gauge({ name, help, labelNames, registers });
  }

  function histogram<L extends string>(name: string, help: string, labelNames: readonly L[]): Histogram<L> {
    const found = registry.getSingleMetric(name);
    return found instanceof Histogram ? found : new Histogram({ name, help, labelNames, buckets, registers });
  }

  return {
    events: counter("deltaforge_sink_events_total", "Events delivered", ofSink),
    batches: counter("deltaforge_sink_batch_total", "Batches delivered", ofSink),
    latency: histogram(
      "deltaforge_sink_latency_seconds",
      "Seconds from sending a batch to its acknowledgement, retries included",
      ofSink,
    ),
    stage: histogram(
      "deltaforge_stage_latency_seconds",
      "Seconds from the arrival of a batch's first event to the batch's acknowledgement",
      ["pipeline", "stage"],
    ),
    bytes: counter("rxadd_sink_bytes_total", "Bytes of the events delivered", ofSink),
    retries: counter("rxadd_sink_retries_total", "Failed attempts that were retried, by cause", [
      ...ofSink,
      "cause",
    ]),
    rewinds: counter("rxadd_sink_rewinds_total", "Times that Redis had lost acknowledged batches", ofSink),
    deadLetters: counter("rxadd_sink_dead_letters_total", "Events set aside", ofSink),
    bufferedEvents: gauge("rxadd_sink_buffered_events", "Events in memory, not yet acknowledged", ofSink),
    bufferedBytes: gauge("rxadd_sink_buffered_bytes", "Bytes of the events in memory", ofSink),
    state: gauge("rxadd_sink_state", "1 for what the sink is doing, 0 for what it is not", [
      ...ofSink,
      "state",
    ]),
    epoch: gauge("rxadd_sink_epoch", "The epoch with which this run publishes", ofSink),
  };
}
