import type { Row } from "../../event/changeEvent.ts";

/** A column's text, or number as text; undefined for anything else, and for no text. */
export function textIn(row: Row, column: string): string | undefined {
  const value = Object.hasOwn(row, column) ? row[column] : undefined;
  return (typeof value === "string" && value !== "") || typeof value === "number" ? `${value}` : undefined;
}
