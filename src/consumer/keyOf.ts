import { kindOf } from "../errors/thrown.ts";

/**
 * The key that a function of the user's gave for an event, as text.
 *
 * @param name - the option that it is
 */
export function keyOf(name: string, key: unknown): string {
  if (typeof key === "string" && key !== "") return key;
  if (typeof key === "bigint" || (typeof key === "number" && Number.isFinite(key))) return `${key}`;
  // What it rejects with would end the process.
  if (key instanceof Promise) key.catch(() => {});
  throw new TypeError(
    `${name}: found ${kindOf(key)}, expected a text that is not empty: this event has no key`,
  );
}
