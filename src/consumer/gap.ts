import { leq } from "fp-ts/lib/Ord.js";
import { catchError, concatMap, EMPTY, filter, map, type Observable } from "rxjs";
import type { ReadConnection, Standing } from "../redis/readConnection.ts";
import type { ConsumerStatus } from "./consumerStatus.ts";
import { ordEntryId } from "./entryId.ts";

/** How far a stream was read. */
export interface Cursor {
  readonly entryId: string;
  /** How many entries the stream had had up to this one; undefined: nobody knows. */
  readonly index: number | undefined;
}

/** What was read before, and what after it; there should be nothing in between. */
export interface Skipped {
  readonly stream: string;
  readonly after: Cursor;
  readonly before: string;
}

type Gap = Extract<ConsumerStatus, { readonly state: "gap" }>;

/**
 * Tells whether entries were trimmed before they could be read.
 *
 * A stream is trimmed from its beginning, so nothing is missing after an entry that is still there.
 */
export function gapBetween(connection: ReadConnection, skipped: Skipped): Observable<Gap> {
  const { stream, after, before } = skipped;
  return connection.exists(stream, after.entryId).pipe(
    filter((isThere) => !isThere),
    concatMap(() => connection.standing(stream)),
    map((standing): Gap | undefined => {
      const missed = missedBy(standing, skipped);
      return missed === 0 ? undefined : { state: "gap", stream, after: after.entryId, before, missed };
    }),
    filter((gap) => gap !== undefined),
    // It is asked for after the entries were handed on; reading itself tells of a lost connection.
    catchError(() => EMPTY),
  );
}

/** How many entries are missing; undefined: some may be, and nobody can tell. */
function missedBy(
  { firstEntryId, length, added, hasDeleted }: Standing,
  { after, before }: Skipped,
): number | undefined {
  // An older one stands: the entry was deleted by itself, not trimmed.
  if (firstEntryId !== undefined && leq(ordEntryId)(firstEntryId, after.entryId)) return 0;
  if (after.index === undefined || added === undefined || hasDeleted || firstEntryId !== before)
    return undefined;
  return Math.max(0, added - length - after.index);
}
