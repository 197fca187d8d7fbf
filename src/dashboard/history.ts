import type { SinkSnapshot } from "./sinkSnapshot.ts";

/** What the charts show of one moment; undefined where there was nothing to measure. */
export interface Point {
  /** In ms since 1970. */
  readonly atMs: number;
  readonly eventsPerSecond: number;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly batchEvents: number | undefined;
  readonly buffered: number;
  readonly behindMs: number | undefined;
}

/** The last points of each sink, by its id, oldest first. */
export type History = Readonly<Record<string, readonly Point[]>>;

/** Points that are kept: five minutes of four a second. */
const maxPoints = 1200;

function pointOf({ atMs, eventsPerSecond, latencyMs, batchEvents, buffer, behindMs }: SinkSnapshot): Point {
  return {
    atMs,
    eventsPerSecond,
    p50Ms: latencyMs?.p50,
    p99Ms: latencyMs?.p99,
    batchEvents: batchEvents?.mean,
    buffered: buffer.items,
    behindMs,
  };
}

/** A history with one more moment, and without what is too old. */
export function recorded(history: History, sinks: readonly SinkSnapshot[]): History {
  return Object.fromEntries(
    sinks.map((status) => [
      status.sink,
      [...(history[status.sink] ?? []), pointOf(status)].slice(-maxPoints),
    ]),
  );
}
