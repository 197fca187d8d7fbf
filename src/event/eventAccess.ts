import type { TransactionMark } from "../../operators/batch.ts";
import { kindOf } from "../errors/thrown.ts";
import type { Transaction } from "./changeEvent.ts";
import type { StandardPosition } from "./positions.ts";

/** The type of a change event's position. Of one that does not say, as `ChangeEvent<Order>`, it is a standard one. */
export type PositionOf<T> = T extends { readonly position?: infer P }
  ? unknown extends P
    ? StandardPosition
    : Exclude<P, undefined | null>
  : StandardPosition;

/**
 * What a sink reads from an event. Each has a default that fits a `ChangeEvent`. One that throws, or gives what it should
 * not, fails that event alone: with `EventNotEncodable`, or `PositionInvalid` for `position` and `transaction`. `null` is
 * nothing, like `undefined`.
 */
export interface EventAccess<T, P> {
  /** Identifies the event in messages. Default `event.id`. */
  readonly id?: (event: T) => string | null | undefined;
  /** Where the event stands in its source, increasing from event to event. Default `event.position`. */
  readonly position?: (event: T) => P | null | undefined;
  /** The source transaction of which the sink publishes all events at once. Default `event.transaction`. */
  readonly transaction?: (event: T) => Transaction | null | undefined;
  /**
   * When it happened in the source, in ms since 1970, to tell how far behind the sink is; what throws, or is no number,
   * is not told. Default `event.ts_ms`.
   */
  readonly time?: (event: T) => number | null | undefined;
  /** The entry's field `event`, in place of an `envelope`. Default: the event as JSON, bigints as text. */
  readonly encode?: (event: T) => string | Uint8Array;
  /** Further fields of the entry. Default: none, which is fastest. */
  readonly fields?: (event: T) => Readonly<Record<string, string | Uint8Array>>;
  /** All names and values of the entry, alternating, in place of `encode` and `fields`: for copies. */
  readonly content?: (event: T) => readonly (string | Uint8Array)[];
}

/** A property of an event of unknown type. */
export function readProperty(event: unknown, name: string): unknown {
  return typeof event === "object" && event !== null
    ? (event as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

/** What a function gives of an event, or undefined, whatever it throws: to look at one may run code of the user's. */
export function ifItCan<T, A>(event: T, ask: (event: T) => A): A | undefined {
  try {
    return ask(event);
  } catch {
    return undefined;
  }
}

/** The text at `id`. */
export function idOf(event: unknown): string | undefined {
  const id = readProperty(event, "id");
  return typeof id === "string" ? id : undefined;
}

/** The transaction that an event names. */
export function transactionOf(event: unknown): Transaction | undefined {
  const transaction = readProperty(event, "transaction");
  const id = readProperty(transaction, "id");
  if (typeof id !== "string") return undefined;
  const last = readProperty(transaction, "last");
  return last === undefined || typeof last === "boolean" ? (transaction as Transaction) : { id };
}

/** The number at `ts_ms`, in ms since 1970. */
export function timeOf(event: unknown): number | undefined {
  const time = readProperty(event, "ts_ms");
  return typeof time === "number" ? time : undefined;
}

// What the user's own functions give, which need not be what their types say. Nothing is undefined, or null as in JSON.

/** An ID; throws a TypeError for what is neither text nor nothing. */
export function checkedId(id: unknown): string | undefined {
  if (id === undefined || id === null || typeof id === "string") return id ?? undefined;
  throw new TypeError(`found ${kindOf(id)}, expected text or nothing`);
}

/** A time in ms; undefined for what is no finite number. */
export function checkedTime(time: unknown): number | undefined {
  return typeof time === "number" && Number.isFinite(time) ? time : undefined;
}

/** Makes the function that takes a transaction as it is now; a TypeError for what is neither one nor nothing. Events that say the same share one. */
export function checkedTransactions(): (transaction: unknown) => TransactionMark | undefined {
  let newest: TransactionMark | undefined;
  return (transaction) => {
    const mark = markOf(transaction, newest);
    if (mark !== undefined) newest = mark;
    return mark;
  };
}

function markOf(transaction: unknown, before: TransactionMark | undefined): TransactionMark | undefined {
  if (transaction === undefined || transaction === null) return undefined;
  const id = readProperty(transaction, "id");
  if (typeof id !== "string") {
    const found = typeof transaction === "object" ? `${kindOf(id)} as its id` : kindOf(transaction);
    throw new TypeError(`found ${found}, expected a transaction with text as its id, or nothing`);
  }
  const last = readProperty(transaction, "last") ?? undefined;
  if (last === undefined || typeof last === "boolean")
    return before?.id === id && before.last === last ? before : { id, last };
  throw new TypeError(`found ${kindOf(last)} as last, expected true, false or nothing`);
}
