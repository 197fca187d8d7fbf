import type { Registry } from "prom-client";
import { familiesIn } from "./familiesIn.ts";

const ofSink = ["pipeline", "sink"] as const;

/** From an idle sink's single events to full batches. */
const batchSizes = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000];

/** All metrics of a sink in a registry, by what they count. */
export function metricFamilies(registry: Registry) {
  const { counter, gauge, histogram } = familiesIn(registry);

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
    replayed: counter(
      "rxadd_sink_replayed_events_total",
      "Events that were in the stream already, and were left out",
      ofSink,
    ),
    batchEvents: histogram("rxadd_sink_batch_events", "Events of the batches delivered", ofSink, batchSizes),
    bufferedEvents: gauge("rxadd_sink_buffered_events", "Events in memory, not yet acknowledged", ofSink),
    bufferedBytes: gauge("rxadd_sink_buffered_bytes", "Bytes of the events in memory", ofSink),
    bufferMaxEvents: gauge("rxadd_sink_buffer_max_events", "Most events in memory", ofSink),
    bufferMaxBytes: gauge("rxadd_sink_buffer_max_bytes", "Most bytes of the events in memory", ofSink),
    checkpoint: gauge(
      "rxadd_sink_checkpoint_timestamp_seconds",
      "When the newest checkpoint came, in seconds since 1970",
      ofSink,
    ),
    lag: gauge(
      "rxadd_sink_lag_seconds",
      "Seconds from an event in the source to its checkpoint, of the newest checkpoint",
      ofSink,
    ),
    state: gauge("rxadd_sink_state", "1 for what the sink is doing, 0 for what it is not", [
      ...ofSink,
      "state",
    ]),
    epoch: gauge("rxadd_sink_epoch", "The epoch with which this run publishes", ofSink),
  };
}
