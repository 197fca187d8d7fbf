import { eventRate } from "../telemetry/eventRate.ts";
import { positionText } from "../telemetry/positionText.ts";
import type { BufferFill, PublishedBatch, SinkObserver } from "../telemetry/sinkObserver.ts";
import { beginsEmpty, SinkCondition } from "./sinkCondition.ts";
import type { SinkSnapshot } from "./sinkSnapshot.ts";
import { slidingHistogram } from "./slidingHistogram.ts";

/** Adds up what a sink reports. */
export interface SinkTally extends Required<SinkObserver> {
  /** What it comes to by now. */
  readonly now: () => SinkSnapshot;
}

/** Begins with nothing; `clock` gives ms since 1970. */
export function sinkTally(sink: string, clock: () => number): SinkTally {
  const condition = new SinkCondition(clock);
  const published = publishedTally();
  const buffer = bufferTally(clock);
  let checkpoint: SinkSnapshot["checkpoint"];
  /** When what is safe happened in the source, and how long after that it was safe. */
  let safe: { readonly eventMs: number; readonly lagMs: number } | undefined;

  /** While something waits, what is safe grows older. */
  function behindMs(nowMs: number): number | undefined {
    if (safe === undefined) return undefined;
    return Math.max(0, buffer.items() > 0 ? nowMs - safe.eventMs : safe.lagMs);
  }

  return {
    status: (status) => {
      if (beginsEmpty(status)) buffer.forget();
      condition.told(status, buffer.items());
    },
    published: (batch) => published.add(batch, clock()),
    buffered: buffer.tell,
    checkpoint: ({ position, stream, entryId, sequence }, eventMs) => {
      const atMs = clock();
      if (stream !== "") condition.useStream(stream);
      const text = position === undefined ? "" : positionText(position);
      checkpoint = { position: text, stream, entryId, sequence, atMs };
      if (eventMs !== undefined) safe = { eventMs, lagMs: atMs - eventMs };
    },
    now: () => {
      const nowMs = clock();
      return {
        ...{ sink, atMs: nowMs, checkpoint, behindMs: behindMs(nowMs) },
        ...condition.now(),
        ...published.now(nowMs),
        ...buffer.now(nowMs),
      };
    },
  };
}

/** How much was published, and how fast. */
function publishedTally() {
  const latencyMicros = slidingHistogram(5000);
  const batchSizes = slidingHistogram(5000);
  const rate = eventRate(1000);
  const total = { events: 0, batches: 0, bytes: 0 };
  return {
    add: ({ events, bytes, latencySeconds }: PublishedBatch, nowMs: number) => {
      total.events += events;
      total.batches += 1;
      total.bytes += bytes;
      latencyMicros.record(latencySeconds * 1e6, nowMs);
      batchSizes.record(events, nowMs);
    },
    now: (nowMs: number) => {
      const latency = latencyMicros.now(nowMs);
      const sizes = batchSizes.now(nowMs);
      return {
        ...total,
        eventsPerSecond: rate.at(nowMs, total.events),
        latencyMs: latency && { p50: latency.p50 / 1000, p99: latency.p99 / 1000 },
        batchEvents: sizes && { mean: sizes.mean, max: sizes.max },
      };
    },
  };
}

/** How much is in memory, and for how long. */
function bufferTally(clock: () => number) {
  const noFill = { items: 0, bytes: 0 };
  let buffer: BufferFill = { ...noFill, maxItems: 0, maxBytes: 0 };
  /** Since when something waits, or since when it has waited for the next acknowledgement. */
  let waitingSinceMs: number | undefined;
  return {
    items: () => buffer.items,
    tell: (fill: BufferFill) => {
      if (fill.items === 0) waitingSinceMs = undefined;
      else if (buffer.items === 0 || fill.items < buffer.items) waitingSinceMs = clock();
      buffer = fill;
    },
    forget: () => {
      buffer = { ...buffer, ...noFill };
      waitingSinceMs = undefined;
    },
    now: (nowMs: number) => ({
      buffer,
      waitingMs: waitingSinceMs === undefined ? 0 : nowMs - waitingSinceMs,
    }),
  };
}
