import { kindOf } from "../../errors/thrown.ts";
import { readProperty } from "../../event/eventAccess.ts";
import { isOperation, toJson } from "./envelope.ts";

/**
 * Names and values of an event, alternating, as fields of an entry in place of `event`: the operation and the columns of a
 * change's row, which after a delete is the one before; of another event its own properties. Text and bytes stay, others are
 * as in JSON, without what is `null`.
 */
export function columnsOf(event: unknown): readonly (string | Uint8Array)[] {
  const op = readProperty(event, "op");
  const after = readProperty(event, "after");
  const before = readProperty(event, "before");
  const isChange = isOperation(op) && (after !== undefined || before !== undefined);
  const row = isChange ? (after ?? before ?? {}) : event;
  if (typeof row !== "object" || row === null || Array.isArray(row))
    throw new TypeError(`found ${kindOf(row)}, expected an object with columns`);
  const columns = Object.entries(row).flatMap(([name, value]) => {
    const text = fieldOf(value);
    return text === undefined ? [] : [name, text];
  });
  return isChange ? ["op", op, ...columns] : columns;
}

function fieldOf(value: unknown): string | Uint8Array | undefined {
  if (typeof value === "string" || value instanceof Uint8Array) return value;
  if (value === null || value === undefined || typeof value === "function" || typeof value === "symbol")
    return undefined;
  const json = toJson(value);
  // Such as a bigint or a Date.
  return json.startsWith('"') ? JSON.parse(json) : json;
}
