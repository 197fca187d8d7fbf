import type { RxaddError } from "../../errors/rxaddError.ts";
import { isLsn, type Lsn, ordLsn, placeOf } from "../../event/lsn.ts";
import { postgresError } from "./postgresError.ts";
import { walNumber } from "./walPosition.ts";

/** What a start finds, and what it is asked for. */
export interface Standing {
  /** Where the sink stands; undefined: it has no position. */
  readonly from: Lsn | undefined;
  /** The furthest that one of several sinks stands. */
  readonly reached: Lsn | undefined;
  readonly slot: string;
  /** The server has forgotten the log up to here; undefined: there is no slot. */
  readonly confirmedLsn: string | undefined;
  readonly publication: string;
  readonly hasPublication: boolean;
  /** Where this process has made the slot; undefined: it has not. */
  readonly madeAt: string | undefined;
}

/** Makes the error of changes that are gone. */
export function unavailable(message: string): RxaddError {
  return postgresError("PositionUnavailable", message);
}

/** What helps where a position is of another server, or of another version. */
export const beginAnew =
  "begin anew with a sink id, a slot and a stream of new names, which snapshot: initial fills";

/** Refuses a position of another kind of source. */
export function checkPosition(from: Lsn | undefined): void {
  if (from !== undefined && !isLsn(`${from}`)) {
    throw unavailable(
      `found position ${placeOf(from)} to go on from, expected an LSN: give this source a sink id of its own`,
    );
  }
}

/**
 * Which changes are gone; undefined: none.
 *
 * The slot is confirmed only up to what the sink has stored. So this is decided by what outlives the process: a sink
 * without a position and a server without a slot make a first run, and nothing else does.
 */
export function holeOf({
  from,
  reached,
  slot,
  confirmedLsn,
  publication,
  hasPublication,
  madeAt,
}: Standing): string | undefined {
  if (confirmedLsn === undefined) {
    if (reached === undefined && madeAt === undefined) return undefined;
    const stands =
      reached === undefined ? "this process has made one" : `a sink has position ${placeOf(reached)}`;
    return `slot ${slot}: found none, expected the one of the earlier runs, as ${stands}: the changes since then are gone`;
  }
  if (from === undefined && confirmedLsn !== madeAt) {
    return `slot ${slot}: found it at ${confirmedLsn}, and a sink with no position to go on from: the changes up to there are gone; if this is a first run, drop the slot: SELECT pg_drop_replication_slot('${slot}')`;
  }
  if (from !== undefined && walNumber(from) < walNumber(confirmedLsn)) {
    return `found position ${placeOf(from)} to go on from, but the changes up to ${confirmedLsn} were acknowledged and slot ${slot} keeps them no longer`;
  }
  if (!hasPublication) {
    return `publication ${publication}: found none, expected the one of the earlier runs, as slot ${slot} stands: PostgreSQL keeps no changes of tables that were not published`;
  }
  return undefined;
}

/** On a server whose log has yet to reach the position, all changes up to there would be skipped. */
export function checkServer(from: Lsn | undefined, logEnd: string): void {
  if (from === undefined || walNumber(from) <= walNumber(logEnd)) return;
  throw unavailable(
    `found position ${placeOf(from)} to go on from, but the server's log ends at ${logEnd}: it is another server, or one that has lost its newest changes; ${beginAnew}`,
  );
}

/** Which changes are gone where a server has taken over: those that it has instead of what was read, up to where that was. */
export function partingOf(reached: Lsn | undefined, shared: Lsn | undefined): string | undefined {
  if (reached === undefined || shared === undefined || ordLsn.compare(reached, shared) <= 0) return undefined;
  return `found another log than the one that was read, from ${shared} on: ${without(reached)}`;
}

/** The same, where it is known only by a transaction that does not come again. */
export function missing(position: Lsn): string {
  return `found no transaction at position ${placeOf(position)}, expected the one that was read: ${without(position)}`;
}

function without(reached: Lsn): string {
  return `the server has taken over, or was restored, without all that was read, and what it has instead up to position ${placeOf(reached)} is left out`;
}
