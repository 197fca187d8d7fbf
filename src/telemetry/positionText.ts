import { kindOf } from "../errors/thrown.ts";
import { shownPosition } from "../event/lsn.ts";

/** A position in words, of whatever type it is, without the keys of rows that tell how far a snapshot is. */
export function positionText(position: unknown): string {
  if (typeof position !== "object" || position === null) return shownPosition(String(position));
  try {
    return JSON.stringify(position);
  } catch {
    return kindOf(position);
  }
}
