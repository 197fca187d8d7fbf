import { isNone, type Option, toUndefined } from "fp-ts/lib/Option.js";
import type { Batch, Entry } from "./entry.ts";
import type { Positions } from "./positions.ts";
import { sinkError } from "./sinkError.ts";

/**
 * Leaves out the events that are in the stream already: those whose position is not after the last
 * one, be it stored in Redis or seen in this run. Without positions, or an order, all are new.
 *
 * Events of one transaction may share a position. Others may not: after a crash between the two
 * nobody could tell whether the second is in the stream.
 */
export function replayFilter<P>(positions: Positions<P>, stored: Option<P>): (batch: Batch<P>) => Batch<P> {
  let last = toUndefined(stored);
  let newest: Entry<P> | undefined;
  let hasGoneBack = false;

  function isNew(entry: Entry<P>): boolean {
    const { position } = entry;
    if (position === undefined) return true;
    const ord = positions.orderOf(position);
    if (last !== undefined && !isNone(ord)) {
      const order = compare(ord.value.compare, position, last);
      if (order < 0) hasGoneBack = true;
      if (order < 0 || (order === 0 && isRepeated(entry))) return false;
    }
    hasGoneBack = false;
    last = position;
    newest = entry;
    return true;
  }

  /** Of an event at the last position: whether it is an event that went before. */
  function isRepeated(entry: Entry<P>): boolean {
    if (newest === undefined || hasGoneBack) return true;
    if (entry.id !== undefined && entry.id === newest.id) return true;
    if (entry.transaction !== undefined && entry.transaction.id === newest.transaction?.id) return false;
    throw sinkError(
      "PositionInvalid",
      `events ${newest.id ?? newest.ordinal} and ${entry.id ?? entry.ordinal}: found the same position ${entry.position} on both, expected increasing positions; only events of one transaction may share one`,
    );
  }

  return (batch) => batch.filter(isNew);
}

function compare<P>(by: (a: P, b: P) => number, a: P, b: P): number {
  try {
    return by(a, b);
  } catch (error) {
    throw sinkError("PositionInvalid", error instanceof Error ? error.message : String(error), error);
  }
}
