import type { BufferFill } from "../telemetry/sinkObserver.ts";

/** Why something went wrong. */
export interface Cause {
  /** The tag of a `RxaddError`, or the name of another error. */
  readonly tag: string;
  readonly message: string;
}

/** What a sink is doing, by `name`. Everything in it is fit for JSON. */
export type SinkState =
  | { readonly name: "starting" | "connecting" | "publishing" | "closed" }
  | {
      readonly name: "retrying";
      readonly cause: Cause;
      /** The attempt that failed, from 1. */
      readonly attempt: number;
      /** When it tries again, in ms since 1970. */
      readonly nextAttemptMs: number;
    }
  /** `rewound`: sends again what Redis has lost; `fenced`: another writer took over; `failed`: ended with an error. */
  | { readonly name: "rewound" | "behind" | "fenced" | "failed"; readonly cause: Cause };

/** Something that happened, worth a line. */
export interface Notice {
  /** In ms since 1970. */
  readonly atMs: number;
  readonly level: "info" | "warning" | "error";
  readonly text: string;
}

/** Up to where all is safe. */
export interface ReachedCheckpoint {
  /** As text; empty: the events carry no position. */
  readonly position: string;
  readonly stream: string;
  readonly entryId: string;
  readonly sequence: number;
  /** When it came, in ms since 1970. */
  readonly atMs: number;
}

/** All that is to be known of a sink at one moment; fit for JSON. Durations are ms, sizes bytes. */
export interface SinkSnapshot {
  /** The id of the sink. */
  readonly sink: string;
  /** The moment, in ms since 1970. */
  readonly atMs: number;
  readonly state: SinkState;
  /** Since when it has been in that state, in ms since 1970. */
  readonly sinceMs: number;
  /** The source is told to wait, because the buffer is half full. */
  readonly isPaused: boolean;
  readonly epoch: number | undefined;
  /** Streams that it publishes to, the latest first, no more than 12. */
  readonly streams: readonly string[];
  /** Delivered since it is watched. */
  readonly events: number;
  readonly batches: number;
  readonly bytes: number;
  /** Over the last second. */
  readonly eventsPerSecond: number;
  /** From sending a batch to its acknowledgement, over the last 5 to 10 s; undefined: there was none. */
  readonly latencyMs: { readonly p50: number; readonly p99: number } | undefined;
  /** Events of a batch, over the same time. */
  readonly batchEvents: { readonly mean: number; readonly max: number } | undefined;
  readonly buffer: BufferFill;
  /** For how long Redis has acknowledged nothing although something waits; 0: nothing waits. */
  readonly waitingMs: number;
  readonly retries: number;
  readonly rewinds: number;
  readonly deadLetters: number;
  readonly checkpoint: ReachedCheckpoint | undefined;
  /** How long ago what is safe happened in the source, while more is waiting; else how long it took. Undefined: the events do not say. */
  readonly behindMs: number | undefined;
  /** The newest first, no more than 20. */
  readonly notices: readonly Notice[];
}
