import type { TransactionMark } from "../../../operators/batch.ts";
import type { RxaddError } from "../../errors/rxaddError.ts";
import type { EntryContent } from "../../redis/publish/publishPort.ts";

/** What is written of an event. */
export type Published = EntryContent & { readonly fate: "publish" };

/** What is written of one that goes to the dead letters, and why. */
export type SetAside = EntryContent & { readonly fate: "setAside"; readonly cause: RxaddError };

/** Of an event that is passed over nothing is written; it only moves the position on. */
export const skipped = { fate: "skip", stream: "", bytes: 0 } as const;

/** An event on its way through the chain: what becomes of it, and what the chain asks of it. */
export interface Entry<P> {
  /** Its number within the subscription, from 0. */
  readonly ordinal: number;
  readonly written: Published | SetAside | typeof skipped;
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
