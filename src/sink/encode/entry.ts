import { type MonoTypeOperatorFunction, map } from "rxjs";
import type { TransactionMark } from "../../../operators/batch.ts";
import type { RxaddError } from "../../errors/rxaddError.ts";
import type { EntryContent } from "../../redis/publish/publishPort.ts";

/** An event on its way through the chain: what is written of it, and what the chain asks of it. */
export interface Entry<P> extends EntryContent {
  /** Its number within the subscription, from 0; where events may be dropped, among those that were not. */
  ordinal: number;
  /** Why it goes to the dead letters; undefined: it does not. */
  readonly cause: RxaddError | undefined;
  /** The bytes of all entries up to this one; likewise. */
  totalBytes: number;
  readonly id: string | undefined;
  readonly position: P | undefined;
  /** Up to where nothing of the source is missing once this entry is safe, by what has come; undefined: that is not known. */
  readonly safe: P | undefined;
  readonly transaction: TransactionMark | undefined;
  /** When it happened in the source, in ms since 1970; undefined: it does not say, or nobody asks. */
  readonly timeMs: number | undefined;
  /** When it arrived, in ms of the monotonic clock; undefined: nobody asks. */
  readonly arrivedMs: number | undefined;
}

/** Entries that are published together. */
export type Batch<P> = readonly Entry<P>[];

/** Counts entries as if those that were dropped before had never been. */
export function countedAnew<P>(): MonoTypeOperatorFunction<Entry<P>> {
  let totalBytes = 0;
  return map((entry, ordinal) => {
    totalBytes += entry.bytes;
    entry.ordinal = ordinal;
    entry.totalBytes = totalBytes;
    return entry;
  });
}

/** Whether something is written of it: it was not passed over. */
export function isWritten<P>({ words }: Entry<P>): boolean {
  return words > 0;
}

/** Whether it is written to the stream that it was meant for. */
export function isDelivered<P>({ words, cause }: Entry<P>): boolean {
  return words > 0 && cause === undefined;
}
