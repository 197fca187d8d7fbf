import { isNone, isSome, type Option } from "fp-ts/lib/Option.js";
import { isLsn, type Lsn, ordLsn } from "../../lsn.ts";
import { PostgresSourceError } from "./postgresError.ts";
import { walNumber } from "./walPosition.ts";

function unavailable(message: string): PostgresSourceError {
  return new PostgresSourceError("PositionUnavailable", message);
}

/** What was confirmed the server may have removed: never skip it silently. */
export function checkAvailable(from: Option<Lsn>, forgotten: Option<Lsn>): void {
  if (isSome(from) && !isLsn(`${from.value}`)) {
    throw unavailable(
      `found position ${from.value} to go on from, expected an LSN: give this source a sink id of its own`,
    );
  }
  if (isNone(forgotten) || (isSome(from) && ordLsn.compare(from.value, forgotten.value) >= 0)) return;
  throw unavailable(
    `found ${isSome(from) ? `position ${from.value}` : "no position"} to go on from, but the changes up to ${forgotten.value} were acknowledged and PostgreSQL keeps them no longer: fill the stream anew from a snapshot`,
  );
}

/** On a server whose log has yet to reach the position, all changes up to there would be skipped. */
export function checkServer(from: Option<Lsn>, logEnd: string): void {
  if (isNone(from) || walNumber(from.value) < walNumber(logEnd)) return;
  throw unavailable(
    `found position ${from.value} to go on from, but the server's log ends at ${logEnd}: it is another server, or one that has lost its newest changes; fill the stream anew from a snapshot, with a new sink id`,
  );
}
