import type { Checkpoint } from "../event/checkpoint.ts";
import type { SinkStatus } from "./status.ts";

/** One acknowledged batch, as metrics see it. */
export interface PublishedBatch {
  readonly events: number;
  readonly bytes: number;
  /** From the first time it was sent to its acknowledgement, retries included. */
  readonly latencySeconds: number;
  /** From the arrival of its first event to its acknowledgement. */
  readonly stageSeconds: number;
}

/** What is in memory, not yet acknowledged, and what may be. */
export interface BufferFill {
  readonly items: number;
  readonly bytes: number;
  readonly maxItems: number;
  readonly maxBytes: number;
}

/** Whom a sink tells what it does: each method is one thing it wants to hear of. `sinkMetrics` makes one. */
export interface SinkObserver {
  readonly published?: (batch: PublishedBatch) => void;
  /** Whenever it has shrunk, has grown by a tenth, or the flow changes. */
  readonly buffered?: (fill: BufferFill) => void;
  readonly status?: (status: SinkStatus) => void;
  /** Up to where all is safe now, and when that happened in the source, in ms since 1970; undefined: the event does not say. */
  readonly checkpoint?: (checkpoint: Checkpoint<unknown>, eventTimeMs: number | undefined) => void;
}
