import type { RxaddError } from "../errors/rxaddError.ts";

/** What a consumer is doing, told apart by `state`: for logs, health checks and dashboards. */
export type ConsumerStatus =
  | { readonly state: "connecting" }
  /** It reads from now on; `isNew`: the group was made for it. */
  | { readonly state: "opened"; readonly stream: string; readonly isNew: boolean }
  | { readonly state: "reading" }
  | {
      readonly state: "retrying";
      /** The attempt that failed, from 1. */
      readonly attempt: number;
      readonly delayMs: number;
      readonly cause: RxaddError;
    }
  /** Entries were trimmed before they were read: some or all of those between the two IDs. */
  | {
      readonly state: "gap";
      readonly stream: string;
      readonly after: string;
      readonly before: string;
      /** How many, where the server can tell (Redis 7 or later). */
      readonly missed: number | undefined;
    }
  /** Deliveries of a consumer that is gone or hangs are this one's now. */
  | { readonly state: "claimed"; readonly stream: string; readonly entries: number }
  /** A delivery that waited here for too long is another consumer's now. */
  | { readonly state: "lost"; readonly stream: string; readonly entryId: string }
  /**
   * A delivery was not pending any more when it was settled, so that nothing of it was written, no effect either:
   * another consumer had acknowledged it, its entry was deleted, or the group was gone.
   */
  | { readonly state: "gone"; readonly stream: string; readonly entryId: string }
  /** Pending entries were deleted from the stream; they are acknowledged. */
  | { readonly state: "deleted"; readonly stream: string; readonly entryIds: readonly string[] }
  /** A handler failed; the delivery comes again. */
  | {
      readonly state: "rejected";
      readonly stream: string;
      readonly entryId: string;
      readonly deliveries: number;
      readonly delayMs: number;
      readonly reason: unknown;
    }
  /** A delivery was set aside; it stands in the stream of the dead letters. */
  | {
      readonly state: "deadLetter";
      readonly stream: string;
      readonly entryId: string;
      readonly deliveries: number;
      readonly reason: string;
    }
  /** It reads no more, and waits for what is being handled. */
  | { readonly state: "draining"; readonly deliveries: number }
  | { readonly state: "warning"; readonly message: string }
  /** Ended: with an error, or because it was done or unsubscribed. */
  | { readonly state: "closed"; readonly cause: Error | undefined };
