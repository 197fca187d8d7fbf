import type { Status } from "./status.ts";

/** One acknowledged batch, as metrics see it. */
export interface PublishedBatch {
  readonly events: number;
  readonly bytes: number;
  /** From the first time it was sent to its acknowledgement, retries included. */
  readonly latencySeconds: number;
  /** From the arrival of its first event to its acknowledgement. */
  readonly stageSeconds: number;
}

/** What a sink reports to its metrics. */
export interface SinkMetrics {
  readonly published: (batch: PublishedBatch) => void;
  readonly buffered: (fill: { readonly items: number; readonly bytes: number }) => void;
  readonly status: (status: Status) => void;
}
