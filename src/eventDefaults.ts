import type { Transaction } from "./changeEvent.ts";

/** A property of an event of unknown type. */
export function readProperty(event: unknown, name: string): unknown {
  return typeof event === "object" && event !== null
    ? (event as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

/** The text at `id`. */
export function idOf(event: unknown): string | undefined {
  const id = readProperty(event, "id");
  return typeof id === "string" ? id : undefined;
}

/** The transaction that an event names. */
export function transactionOf(event: unknown): Transaction | undefined {
  const transaction = readProperty(event, "transaction");
  return typeof readProperty(transaction, "id") === "string" ? (transaction as Transaction) : undefined;
}

/** The number at `ts_ms`, in ms since 1970. */
export function timeOf(event: unknown): number | undefined {
  const time = readProperty(event, "ts_ms");
  return typeof time === "number" ? time : undefined;
}
