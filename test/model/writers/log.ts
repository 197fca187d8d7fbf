/** An event of the one log that all writers of a history publish. */
export interface LogEvent {
  /** Of what it is about, which others are about, too. */
  readonly id: string;
  /** From 1. */
  readonly n: number;
  readonly position: number;
  readonly transaction?: { readonly id: string; readonly last?: boolean };
}

/** How the events of a log carry positions. */
export type LogKind =
  /** Each has its own. */
  | "plain"
  /** Three each are a transaction, with a position for each. */
  | "transactions"
  /** Three each are a transaction, at one position. */
  | "shared"
  /** The same, but which is the last one nobody says. */
  | "unmarked";

/** A log without an end. */
export interface Log {
  readonly at: (n: number) => LogEvent;
  /** The first event after a position. */
  readonly after: (position: number) => number;
  /** The last event at a position or before it. */
  readonly upTo: (position: number) => number;
  /** The last event that may be there, in part of a transaction, while this is the position stored. */
  readonly partOf: (position: number) => number;
  /** The last event of the transaction of this one. */
  readonly wholeWith: (n: number) => number;
}

const perTransaction = 3;

export function logOf(kind: LogKind): Log {
  const isShared = kind === "shared" || kind === "unmarked";
  const isMarked = kind !== "unmarked";
  const size = kind === "plain" ? 1 : perTransaction;
  const transactionOf = (n: number) => Math.ceil(n / size);
  const upTo = (position: number) => (isShared ? position * size : position);
  return {
    at: (n) => ({
      // As of rows: a transaction changes one several times.
      id: `row ${n % 2}`,
      n,
      position: isShared ? transactionOf(n) : n,
      ...(kind !== "plain" && {
        transaction: { id: `t${transactionOf(n)}`, ...(isMarked && { last: n % size === 0 }) },
      }),
    }),
    after: (position) => upTo(position) + 1,
    upTo,
    partOf: (position) => (size === 1 ? position : upTo(position) + size),
    wholeWith: (n) => size * transactionOf(n),
  };
}
