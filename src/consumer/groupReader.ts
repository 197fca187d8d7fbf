import { leq } from "fp-ts/lib/Ord.js";
import {
  catchError,
  concatMap,
  defer,
  forkJoin,
  ignoreElements,
  map,
  merge,
  type Observable,
  of,
  tap,
  throwError,
} from "rxjs";
import { entryIdBefore, ordEntryId } from "../event/entryId.ts";
import { type GroupConnection, isAnswer, type Progress, type Room } from "../redis/group/groupConnection.ts";
import type { Pending, PendingEntry, RawEntry } from "../redis/wire/entryReplies.ts";
import type { ConsumerStatus } from "../telemetry/consumerStatus.ts";

/** What one read brought. */
export type Arrived =
  | { readonly kind: "new"; readonly entries: readonly RawEntry[] }
  /** Delivered before. One without fields has been deleted. */
  | { readonly kind: "pending"; readonly entries: readonly PendingEntry[] };

const nothing: Arrived = { kind: "new", entries: [] };

/** The most that the first read brings; each may bring four times as much: nobody knows yet how large entries are. */
const firstCount = 4;

interface ReadingOptions {
  readonly connection: GroupConnection;
  readonly streams: readonly string[];
  /** Where a group begins that is made anew although its stream stands. */
  readonly start: string;
  readonly blockMs: number;
  readonly claimIdleMs: number;
  /** How much a read may bring now. */
  readonly room: () => Room;
  /** The oldest entry of a stream that is held. */
  readonly oldest: (stream: string) => string | undefined;
  readonly report: (status: ConsumerStatus) => void;
}

/** What a consumer reads next. */
export interface Reading {
  /** Reads once; emits what came, perhaps nothing. */
  readonly read$: Observable<Arrived>;
  /** An answer was lost: what Redis has delivered since the last one is looked for first. */
  readonly recover: () => void;
}

/**
 * Reads in turns: what this consumer has had before, then new entries, and every now and then what others
 * have had for too long.
 */
export function reading({
  connection,
  streams,
  start,
  blockMs,
  claimIdleMs,
  room,
  oldest,
  report,
}: ReadingOptions): Reading {
  // By stream: the last ID that was looked at; empty: none.
  const own = new Map<string, string>();
  const stale = new Map<string, string>();
  let claimDueMs = performance.now() + claimIdleMs / 2;
  const latest = new Map<string, string>();
  const gaps = gapsOf(report);
  const count = countOf(streams.length);
  // When the group was known to be up to date: what waits meanwhile may be trimmed unread.
  let upToDateMs = Number.NEGATIVE_INFINITY;

  function recover(): void {
    for (const stream of streams) own.set(stream, "");
    upToDateMs = Number.NEGATIVE_INFINITY;
  }

  function found(cursors: Map<string, string>, stream: string): (pending: Pending) => Arrived {
    return ({ entries, next }) => {
      if (next === undefined) cursors.delete(stream);
      else cursors.set(stream, next);
      return { kind: "pending", entries };
    };
  }

  function readOwn(stream: string, after: string): Observable<Arrived> {
    return connection.readOwn(stream, after, room()).pipe(map(found(own, stream)));
  }

  function claim(stream: string, after: string): Observable<Arrived> {
    return connection.claim(stream, claimIdleMs, after, room()).pipe(
      map(found(stale, stream)),
      tap(({ entries }) => {
        const claimed = entries.filter(({ fields }) => fields !== null).length;
        if (claimed > 0) report({ state: "claimed", stream, entries: claimed });
      }),
    );
  }

  function readNew(): Observable<Arrived> {
    const untilClaimMs = Math.max(1, Math.ceil(claimDueMs - performance.now()));
    const most = count.next(room());
    const isUpToDate = performance.now() - upToDateMs < upToDateForMs;
    const read$ = connection.readNew(streams, most, Math.min(blockMs, untilClaimMs)).pipe(
      map((entries): Arrived => {
        count.came(entries);
        upToDateMs = entries.length < most ? performance.now() : Number.NEGATIVE_INFINITY;
        for (let index = entries.length - 1; index >= 0; index -= 1) {
          const entry = entries[index];
          if (entry !== undefined && entry.stream !== entries[index + 1]?.stream)
            latest.set(entry.stream, entry.entryId);
        }
        return { kind: "new", entries };
      }),
    );
    return isUpToDate ? read$ : merge(look(), read$);
  }

  /** Looks, before what is read next, whether something was trimmed that the group should have read. */
  function look(): Observable<never> {
    return forkJoin(
      streams.map((stream) =>
        connection.progress(stream).pipe(
          tap((progress) => {
            if (progress === undefined) return;
            if (!latest.has(stream)) latest.set(stream, progress.lastDeliveredId);
            gaps(stream, progress);
          }),
        ),
      ),
    ).pipe(ignoreElements());
  }

  /** The group is gone, with its stream or without. */
  function renew(): Observable<Arrived> {
    return forkJoin(
      streams.map((stream) =>
        beginningOf(stream).pipe(
          concatMap((from) =>
            connection.create(stream, from).pipe(
              tap((wasThere) => {
                if (!wasThere) report({ state: "warning", message: renewedText(stream, from) });
              }),
            ),
          ),
          concatMap(() => connection.introduce(stream, claimIdleMs)),
        ),
      ),
    ).pipe(map(() => nothing));
  }

  /** Where its stream stands the group begins as a new one does; else all that is there now is new. */
  function beginningOf(stream: string): Observable<string> {
    const last = latest.get(stream);
    if (start === "0-0" || last === undefined) return of("0-0");
    return connection.has(stream, last).pipe(
      map((stands) => {
        if (!stands) return "0-0";
        if (start !== "$") return start;
        const held = oldest(stream);
        return held === undefined ? last : entryIdBefore(held);
      }),
    );
  }

  recover();
  return {
    recover,
    read$: defer(() => {
      const [mine] = own;
      if (mine !== undefined) return readOwn(...mine);
      if (performance.now() >= claimDueMs) {
        for (const stream of streams) stale.set(stream, "");
        claimDueMs = performance.now() + claimIdleMs / 2;
      }
      const [abandoned] = stale;
      return abandoned === undefined ? readNew() : claim(...abandoned);
    }).pipe(catchError((error) => (isGone(error) ? renew() : throwError(() => error)))),
  };
}

/** For how long a group that had read everything is taken to be up to date. */
const upToDateForMs = 20;

/** The group is not there, or its stream was deleted while a read waited for entries. */
function isGone(error: unknown): boolean {
  return isAnswer(error, "NOGROUP") || isAnswer(error, "UNBLOCKED");
}

function renewedText(stream: string, from: string): string {
  return `${stream}: the group was gone; it is made anew, and reads from ${from === "0-0" ? "the beginning" : `after ${from}`}`;
}

/** How many entries of each stream a read asks for, so that it brings no more than there is room for. */
function countOf(streams: number) {
  // Of the largest entry lately; it fades, as one may be an exception.
  let largest = 1;
  let most = firstCount;
  return {
    next: ({ entries, bytes }: Room) =>
      Math.max(1, Math.floor(Math.min(entries, most, bytes / largest) / streams)),
    came: (entries: readonly RawEntry[]) => {
      if (entries.length === 0) return;
      most = Math.min(1_000_000, most * 4);
      largest *= 0.8;
      for (const { bytes } of entries) if (bytes > largest) largest = bytes;
    },
  };
}

/** Tells of what was trimmed before the group had read it, once. */
function gapsOf(report: (status: ConsumerStatus) => void) {
  // By stream: how far Redis' count of what the group has read is behind, because of what it could not read.
  const behind = new Map<string, number>();
  // By stream: where the group was when that was told last.
  const told = new Map<string, string>();

  return (stream: string, { lastDeliveredId, entriesRead, standing }: Progress): void => {
    const { firstEntryId, lastEntryId, length, added, hasDeleted } = standing;
    const read = lastDeliveredId === "0-0" ? 0 : entriesRead;
    const isCounted = added !== undefined && read !== undefined && !hasDeleted;
    if (leq(ordEntryId)(lastEntryId, lastDeliveredId)) {
      if (isCounted) behind.set(stream, added - read);
      return;
    }
    if (firstEntryId !== undefined && leq(ordEntryId)(firstEntryId, lastDeliveredId)) return;
    // Where the server does not count, what was trimmed before the beginning cannot be told from the rest.
    if (!isCounted && (lastDeliveredId === "0-0" || told.get(stream) === lastDeliveredId)) return;
    const known = behind.get(stream) ?? 0;
    const missed = isCounted ? Math.max(0, added - length - read - known) : undefined;
    if (missed === 0) return;
    if (missed !== undefined) behind.set(stream, known + missed);
    told.set(stream, lastDeliveredId);
    const before = firstEntryId ?? lastEntryId;
    report({ state: "gap", stream, after: lastDeliveredId, before, missed });
  };
}
