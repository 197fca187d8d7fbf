import type { TransactionMark } from "../../operators/batch.ts";
import { kindOf } from "../errors/thrown.ts";
import type { Transaction } from "./changeEvent.ts";

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
