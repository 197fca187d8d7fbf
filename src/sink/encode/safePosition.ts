import type { TransactionMark } from "../../../operators/batch.ts";
import type { Positions } from "../../event/positions.ts";

/**
 * Makes the function that tells, for each event in order, up to which position nothing is missing once the event is safe.
 *
 * ```
 * event        a@5   t1@7   t2@7   t3@7 (last)   b@8
 * safe up to   5     5      5      7             8
 * ```
 *
 * Events of one transaction may share a position: it is whole with the last one, or when another position comes.
 */
export function safePosition<P>(
  positions: Positions<P>,
): (position: P | undefined, transaction: TransactionMark | undefined) => P | undefined {
  let safe: P | undefined;
  let newest: P | undefined;

  return (position, transaction) => {
    if (position === undefined) return safe;
    if (transaction === undefined || transaction.last === true) {
      safe = position;
      newest = position;
      return safe;
    }
    const step = newest === undefined ? 1 : order(positions, position, newest);
    // A source that goes back has not come to the end of the newest one.
    if (step > 0) {
      safe = newest ?? safe;
      newest = position;
    }
    return safe;
  };
}

/** Where `a` stands beside `b`: before it (less than 0), at it (0) or after it; those without an order that differ are taken for increasing. */
export function order<P>(positions: Positions<P>, a: P, b: P): number {
  if (a === b) return 0;
  try {
    return positions.compare?.(a, b) ?? (positions.encode(a) === positions.encode(b) ? 0 : 1);
  } catch {
    // Of different kinds: the lane refuses them by name.
    return 1;
  }
}
