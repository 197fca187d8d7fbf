import { kindOf } from "../errors/thrown.ts";

/** A position in words, of whatever type it is. */
export function positionText(position: unknown): string {
  if (typeof position !== "object" || position === null) return String(position);
  try {
    return JSON.stringify(position);
  } catch {
    return kindOf(position);
  }
}
