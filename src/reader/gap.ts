import { leq, lt } from "fp-ts/lib/Ord.js";
import { catchError, concatMap, EMPTY, filter, map, type Observable, tap } from "rxjs";
import { ordEntryId } from "../event/entryId.ts";
import type { ReadConnection, Standing } from "../redis/read/readConnection.ts";
import type { ConsumerStatus } from "../telemetry/consumerStatus.ts";

/** How far a stream was read. */
export interface Cursor {
  readonly entryId: string;
  /** How many entries the stream had had up to this one; undefined: nobody knows. */
  readonly index: number | undefined;
}

/** Before the first entry that is there. */
export function beginningOf({ length, added, lastDeletedId }: Standing): Cursor {
  const isCounted = added !== undefined && lastDeletedId === "0-0";
  return { entryId: "0-0", index: isCounted ? added - length : undefined };
}

/** After the last entry. */
export function endOf({ lastEntryId, added }: Standing): Cursor {
  return { entryId: lastEntryId, index: added };
}

/** What was read before, and what one read brought after it; there should be nothing in between. */
export interface Skipped {
  readonly stream: string;
  readonly after: Cursor;
  readonly entryIds: readonly [string, ...string[]];
}

type Gap = Extract<ConsumerStatus, { readonly state: "gap" }>;

/**
 * Tells where entries were trimmed before they could be read.
 *
 * A stream is trimmed from its beginning, so nothing is missing after an entry that is still there.
 */
export function gaps(
  connection: Pick<ReadConnection, "exists" | "standing">,
  skipped$: Observable<Skipped>,
): Observable<Gap> {
  // By stream: a cursor's index does not know of those before it.
  const missed = new Map<string, number | "unknown">();

  function between(skipped: Skipped): Observable<Gap> {
    const { stream, after } = skipped;
    const [before] = skipped.entryIds;
    return connection.exists(stream, after.entryId).pipe(
      filter((isThere) => !isThere),
      concatMap(() => connection.standing(stream)),
      map((standing) => missedBy(standing, skipped, missed.get(stream) ?? 0)),
      filter((count) => count !== 0),
      map((count): Gap => ({ state: "gap", stream, after: after.entryId, before, missed: count })),
      // It is asked for after the entries were handed on; reading itself tells of a lost connection.
      catchError(() => EMPTY),
    );
  }

  return skipped$.pipe(
    concatMap(between),
    tap(({ stream, missed: count }) => {
      const others = missed.get(stream) ?? 0;
      missed.set(stream, count === undefined || others === "unknown" ? "unknown" : others + count);
    }),
  );
}

/** How many entries are missing; undefined: some may be, and nobody can tell. */
function missedBy(
  { firstEntryId, length, added, lastDeletedId }: Standing,
  { after, entryIds }: Skipped,
  others: number | "unknown",
): number | undefined {
  // An older one stands: the entry was deleted by itself, not trimmed.
  if (firstEntryId !== undefined && leq(ordEntryId)(firstEntryId, after.entryId)) return 0;
  // Where the server does not count, what was trimmed before the beginning cannot be told from the rest.
  if (after.entryId === "0-0" && after.index === undefined) return 0;
  if (others === "unknown" || after.index === undefined || added === undefined || lastDeletedId !== "0-0")
    return undefined;
  // Trimmed as well, but between the read and this look.
  const read = entryIds.filter(
    (entryId) => firstEntryId === undefined || lt(ordEntryId)(entryId, firstEntryId),
  );
  const count = added - length - after.index - read.length - others;
  // Where all that it read is gone, what is missing may have stood behind it.
  return count === 0 || read.length < entryIds.length ? Math.max(0, count) : undefined;
}
