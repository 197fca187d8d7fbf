import type { TransactionMark } from "../../../operators/batch.ts";
import type { RxaddError } from "../../errors/rxaddError.ts";

/** An event on its way through the chain: encoded, and with all that the chain asks of it. */
export interface Entry<P> {
  /** Its number within the subscription, from 0. */
  readonly ordinal: number;
  readonly stream: string;
  readonly payload: string | Buffer;
  /** Further entry fields and values, alternating. */
  readonly extra: readonly (string | Buffer)[] | undefined;
  /** Why the event goes to the dead letters; undefined: it does not. */
  readonly deadLetter: RxaddError | undefined;
  /** `extra` is all that the entry has: there is no field `event` before it. */
  readonly isWhole: boolean;
  /** Nothing is published for it; it only moves the position on. */
  readonly isSkipped: boolean;
  readonly bytes: number;
  /** The bytes of all entries up to this one. */
  readonly totalBytes: number;
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
