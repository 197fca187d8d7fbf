import { isNone, type Option } from "fp-ts/lib/Option.js";
import { type Lsn, ordLsn } from "../../lsn.ts";
import type { Committed } from "./toChangeEvents.ts";

/** Which part of the write-ahead log the server may forget. */
export interface Confirmations {
  /** A transaction has been emitted whole. */
  readonly committed: (transaction: Committed) => void;
  /** The server has nothing before this place that it has not sent. */
  readonly idle: (place: bigint) => void;
  /** Up to where the log is dispensable: never beyond a change that was not acknowledged. */
  readonly confirmed: () => bigint;
}

/** What {@link confirmations} goes by. */
export interface ConfirmationsOptions {
  /** Up to where the server has forgotten the log already. */
  readonly start: bigint;
  /** All changes up to this position are safe. */
  readonly acknowledged: () => Option<Lsn>;
  /** Told of each transaction that will be confirmed, by the position of its last change. */
  readonly forget: (last: Lsn) => void;
}

/** Follows the transactions of one connection from being emitted to being confirmed. */
export function confirmations({ start, acknowledged, forget }: ConfirmationsOptions): Confirmations {
  const pending: Committed[] = [];
  let confirmed = start;

  function settle(): void {
    const safe = acknowledged();
    for (let [first] = pending; first !== undefined; [first] = pending) {
      if (isNone(safe) || ordLsn.compare(first.last, safe.value) > 0) return;
      pending.shift();
      forget(first.last);
      if (first.end > confirmed) confirmed = first.end;
    }
  }

  return {
    committed: (transaction) => {
      pending.push(transaction);
    },
    idle: (place) => {
      settle();
      // A transaction that is being received commits after this place: the server sends in order.
      if (pending.length === 0 && place > confirmed) confirmed = place;
    },
    confirmed: () => {
      settle();
      return confirmed;
    },
  };
}
