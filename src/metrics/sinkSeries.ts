import type { Registry } from "prom-client";
import { familiesIn } from "./familiesIn.ts";

const ofSink = ["pipeline", "sink"] as const;

/** From an idle sink's single events to full batches. */
const batchSizes = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000];

/** The series of a sink, by what they count; where a cause or a state tells them apart, all of them. */
export function sinkSeries(registry: Registry, labels: { readonly pipeline: string; readonly sink: string }) {
  const families = familiesIn(registry);

  const counter = (name: string, help: string) => families.count(name, help, labels);
  const gauge = (name: string, help: string) => families.gauge(name, help, ofSink).labels(labels);
  const histogram = (name: string, help: string, buckets?: number[]) =>
    families.histogram(name, help, ofSink, buckets).labels(labels);

  return {
    events: counter("deltaforge_sink_events_total", "Events delivered"),
    batches: counter("deltaforge_sink_batch_total", "Batches delivered"),
    latency: histogram(
      "deltaforge_sink_latency_seconds",
      "Seconds from sending a batch to its acknowledgement, retries included",
    ),
    stage: families
      .histogram(
        "deltaforge_stage_latency_seconds",
        "Seconds from the arrival of a batch's first event to the batch's acknowledgement",
        ["pipeline", "stage"],
      )
      .labels({ pipeline: labels.pipeline, stage: "sink" }),
    bytes: counter("rxadd_sink_bytes_total", "Bytes of the events delivered"),
    retries: families.counter("rxadd_sink_retries_total", "Failed attempts that were retried, by cause", [
      ...ofSink,
      "cause",
    ]),
    rewinds: counter("rxadd_sink_rewinds_total", "Times that Redis had lost acknowledged batches"),
    deadLetters: counter("rxadd_sink_dead_letters_total", "Events set aside"),
    lost: counter("rxadd_sink_lost_events_total", "Acknowledged events that Redis has lost for good"),
    dropped: counter("rxadd_sink_dropped_events_total", "Events dropped because the buffer was full"),
    replayed: counter(
      "rxadd_sink_replayed_events_total",
      "Events that were in the stream already, and were left out",
    ),
    batchEvents: histogram("rxadd_sink_batch_events", "Events of the batches delivered", batchSizes),
    bufferedEvents: gauge("rxadd_sink_buffered_events", "Events in memory, not yet acknowledged"),
    bufferedBytes: gauge("rxadd_sink_buffered_bytes", "Bytes of the events in memory"),
    bufferMaxEvents: gauge("rxadd_sink_buffer_max_events", "Most events in memory"),
    bufferMaxBytes: gauge("rxadd_sink_buffer_max_bytes", "Most bytes of the events in memory"),
    checkpoint: gauge(
      "rxadd_sink_checkpoint_timestamp_seconds",
      "When the newest checkpoint came, in seconds since 1970",
    ),
    lag: gauge(
      "rxadd_sink_lag_seconds",
      "Seconds from an event in the source to its checkpoint, of the newest checkpoint",
    ),
    state: families.gauge("rxadd_sink_state", "1 for what the sink is doing, 0 for what it is not", [
      ...ofSink,
      "state",
    ]),
    epoch: gauge("rxadd_sink_epoch", "The epoch with which this run publishes"),
  };
}
