import type { ConsumerStatus } from "./consumerStatus.ts";

/** Whom a consumer tells what it does: each method is one thing it wants to hear of. `consumerMetrics` makes one. */
export interface ConsumerObserver {
  readonly status?: (status: ConsumerStatus) => void;
  /** So many deliveries were handed out, again included. */
  readonly delivered?: (deliveries: number) => void;
  /** So many were acknowledged. */
  readonly acknowledged?: (deliveries: number) => void;
  /** So many are handed out and not settled. */
  readonly held?: (deliveries: number) => void;
}
