import { leq, lt } from "fp-ts/lib/Ord.js";
import { catchError, concatMap, EMPTY, filter, type Observable, of } from "rxjs";
import { areNeighbours, ordEntryId } from "../event/entryId.ts";
import type { ReadConnection, Standing } from "../redis/read/readConnection.ts";
import type { ConsumerStatus } from "../telemetry/consumerStatus.ts";

/** How far a stream was read. */
export interface Cursor {
  readonly entryId: string;
  /** How many entries were gone when reading began, or have been read since; undefined: nobody knows. */
  readonly index: number | undefined;
}

/** After an entry of which only the ID is known; `0-0`: before all. How many that are is known where all that stands is behind it, or nothing. */
export function cursorAfter(entryId: string, standing: Standing): Cursor {
  const { added, length } = standing;
  if (hasReadAll(entryId, standing)) return { entryId, index: added };
  return {
    entryId,
    index: added !== undefined && isBeforeAll(entryId, standing) ? added - length : undefined,
  };
}

/** What may be missing behind such an entry when reading begins; undefined: nothing, or the first read tells. */
export function gapAfter(stream: string, entryId: string, standing: Standing): Gap | undefined {
  const { firstEntryId, lastEntryId, length, added } = standing;
  if (entryId === "0-0" || hasReadAll(entryId, standing) || !isBeforeAll(entryId, standing)) return undefined;
  // Where the server does not count the cursor has no index, and the first read looks; or nothing was ever trimmed.
  if (added === undefined || added === length) return undefined;
  if (firstEntryId !== undefined && areNeighbours(entryId, firstEntryId)) return undefined;
  return { state: "gap", stream, after: entryId, before: firstEntryId ?? lastEntryId, missed: undefined };
}

const hasReadAll = (entryId: string, { lastEntryId }: Standing) => leq(ordEntryId)(lastEntryId, entryId);

const isBeforeAll = (entryId: string, { firstEntryId }: Standing) =>
  firstEntryId === undefined || lt(ordEntryId)(entryId, firstEntryId);

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
  const told = new Map<string, number>();
  // By stream: after which entry some may be missing, which a later look decides.
  const undecided = new Map<string, string>();

  function told$(standing: Standing, skipped: Skipped): Observable<Gap> {
    const { stream, after, entryIds } = skipped;
    const others = told.get(stream) ?? 0;
    const count = missedBy(standing, skipped, others);
    const first = undecided.get(stream) ?? after.entryId;
    if (count === "undecided") {
      undecided.set(stream, first);
      return EMPTY;
    }
    undecided.delete(stream);
    if (count === 0) return EMPTY;
    if (count !== "unknown") told.set(stream, others + count);
    // What was deleted by itself was not trimmed.
    const missed = count === "unknown" || standing.lastDeletedId !== "0-0" ? undefined : count;
    return of({ state: "gap", stream, after: first, before: entryIds[0], missed });
  }

  return skipped$.pipe(
    concatMap((skipped) =>
      connection.exists(skipped.stream, skipped.after.entryId).pipe(
        filter((isThere) => !isThere),
        concatMap(() => connection.standing(skipped.stream)),
        concatMap((standing) => told$(standing, skipped)),
        // It is asked for after the entries were handed on; reading itself tells of a lost connection.
        catchError(() => EMPTY),
      ),
    ),
  );
}

/** How many entries are missing, at least one; unknown: some may be, and nobody can tell; undecided: a later look can. */
function missedBy(
  { lastEntryId, firstEntryId, length, added, lastDeletedId }: Standing,
  { after, entryIds }: Skipped,
  others: number,
): number | "unknown" | "undecided" {
  // An older one stands: the entry was deleted by itself, not trimmed.
  if (firstEntryId !== undefined && leq(ordEntryId)(firstEntryId, after.entryId)) return 0;
  if (areNeighbours(after.entryId, entryIds[0])) return 0;
  // Where the server does not count, what was trimmed before the beginning cannot be told from the rest.
  if (after.entryId === "0-0" && after.index === undefined) return 0;
  if (after.index === undefined || added === undefined) return "unknown";
  // What it read may be gone as well between the read and this look, by being trimmed or by itself.
  const isTrimmed = (entryId: string) => firstEntryId === undefined || lt(ordEntryId)(entryId, firstEntryId);
  const trimmed = entryIds.filter(isTrimmed).length;
  const deleted = entryIds.filter(
    (entryId) => !isTrimmed(entryId) && leq(ordEntryId)(entryId, lastDeletedId),
  ).length;
  const most = added - length - after.index - trimmed - others;
  if (most <= 0) return 0;
  // What is missing may have come behind what it read, and been read meanwhile: where all of that is gone, or a later one was deleted.
  const newest = entryIds.at(-1) ?? after.entryId;
  const isAllGone = trimmed === entryIds.length && newest !== lastEntryId;
  const mayBeBehind = isAllGone || lt(ordEntryId)(newest, lastDeletedId);
  return mayBeBehind || most <= deleted ? "undecided" : most - deleted;
}
