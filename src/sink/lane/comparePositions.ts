import { isNone } from "fp-ts/lib/Option.js";
import { rxaddError } from "../../errors/rxaddError.ts";
import { messageOf } from "../../errors/thrown.ts";
import type { Positions } from "../../event/positions.ts";

/**
 * The order of two positions: less than, equal to or greater than 0; undefined where they have none.
 *
 * @throws PositionInvalid - they are of different kinds
 */
export function comparePositions<P>(positions: Positions<P>, a: P, b: P): number | undefined {
  const ord = positions.orderOf(a);
  if (isNone(ord)) return undefined;
  try {
    return ord.value.compare(a, b);
  } catch (error) {
    throw rxaddError("PositionInvalid", messageOf(error), error);
  }
}
