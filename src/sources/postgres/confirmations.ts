import { isNone, type Option, some } from "fp-ts/lib/Option.js";
import { type Lsn, ordLsn } from "../../lsn.ts";

interface Transaction {
  /** The position of its last change. */
  readonly last: Lsn;
  /** Where its commit ends: up to there the log is dispensable once `last` is safe. */
  readonly end: bigint;
}

/** Which part of the write-ahead log the server may forget. */
export interface Confirmations {
  /** All changes up to this position are safe. */
  readonly acknowledge: (position: Lsn) => void;
  /** A transaction has been emitted whole. */
  readonly committed: (transaction: Transaction) => void;
  /** The server has nothing before this place that it has not sent. */
  readonly idle: (place: bigint) => void;
  /** Up to where the log is dispensable: never beyond a change that is not safe. */
  readonly confirmed: () => bigint;
}

/**
 * Follows transactions from being emitted to being safe.
 *
 * @param safe - up to where changes are safe from earlier runs
 * @param start - what the server was told to be dispensable before
 */
export function confirmations(safe: Option<Lsn>, start: bigint): Confirmations {
  const pending: Transaction[] = [];
  let acknowledged = safe;
  let confirmed = start;

  function settle(): void {
    for (let [first] = pending; first !== undefined; [first] = pending) {
      if (isNone(acknowledged) || ordLsn.compare(first.last, acknowledged.value) > 0) return;
      pending.shift();
      if (first.end > confirmed) confirmed = first.end;
    }
  }

  return {
    acknowledge: (position) => {
      if (isNone(acknowledged) || ordLsn.compare(position, acknowledged.value) > 0)
        acknowledged = some(position);
      settle();
    },
    committed: (transaction) => {
      pending.push(transaction);
      settle();
    },
    idle: (place) => {
      if (pending.length === 0 && place > confirmed) confirmed = place;
    },
    confirmed: () => confirmed,
  };
}
