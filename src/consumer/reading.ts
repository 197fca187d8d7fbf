import { catchError, concatMap, defer, forkJoin, map, type Observable, throwError } from "rxjs";
import type { RawEntry } from "../redis/entryReplies.ts";
import { type GroupConnection, isAnswer } from "../redis/groupConnection.ts";
import type { ConsumerStatus } from "./consumerStatus.ts";

/** What one read brought. */
export interface Arrived {
  /** One without fields has been deleted. */
  readonly entries: readonly RawEntry[];
  /** How often each was delivered, by entry ID; undefined: all of them once. */
  readonly deliveries: ReadonlyMap<string, number> | undefined;
}

const nothing: Arrived = { entries: [], deliveries: undefined };

interface ReadingOptions {
  readonly connection: GroupConnection;
  readonly streams: readonly string[];
  readonly blockMs: number;
  readonly claimIdleMs: number;
  /** How many entries a read may bring now. */
  readonly room: () => number;
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
  blockMs,
  claimIdleMs,
  room,
  report,
}: ReadingOptions): Reading {
  // By stream: the last ID that was looked at.
  const own = new Map<string, string>();
  const stale = new Map<string, string>();
  let claimDueMs = performance.now() + claimIdleMs / 2;

  function recover(): void {
    for (const stream of streams) own.set(stream, "0-0");
  }

  function readOwn(stream: string, after: string): Observable<Arrived> {
    return connection.readOwn(stream, after, room()).pipe(
      concatMap((entries) => {
        const last = entries.at(-1)?.entryId;
        if (last === undefined) own.delete(stream);
        else own.set(stream, last);
        return counted(stream, entries);
      }),
    );
  }

  function claim(stream: string, from: string): Observable<Arrived> {
    return connection.claim(stream, claimIdleMs, from, room()).pipe(
      concatMap(({ entries, next }) => {
        if (next === "0-0") stale.delete(stream);
        else stale.set(stream, next);
        if (entries.length > 0) report({ state: "claimed", stream, entries: entries.length });
        return counted(stream, entries);
      }),
    );
  }

  /** With how often each was delivered; what another consumer has claimed meanwhile is left out. */
  function counted(stream: string, entries: readonly RawEntry[]): Observable<Arrived> {
    return connection.pending(stream, entries).pipe(
      map((pending) => {
        const deliveries = new Map(pending.map(({ entryId, deliveries }) => [entryId, deliveries]));
        return { entries: entries.filter(({ entryId }) => deliveries.has(entryId)), deliveries };
      }),
    );
  }

  function readNew(): Observable<Arrived> {
    const untilClaimMs = Math.max(1, Math.ceil(claimDueMs - performance.now()));
    return connection
      .readNew(streams, room(), Math.min(blockMs, untilClaimMs))
      .pipe(map((entries) => ({ entries, deliveries: undefined })));
  }

  /** The group is gone, and its stream with it, or somebody removed it: all that is there now is new. */
  function renew(): Observable<Arrived> {
    report({
      state: "warning",
      message: "the group was gone; it is made anew, and reads from the beginning",
    });
    return forkJoin(streams.map((stream) => connection.create(stream, "0-0"))).pipe(map(() => nothing));
  }

  recover();
  return {
    recover,
    read$: defer(() => {
      const [mine] = own;
      if (mine !== undefined) return readOwn(...mine);
      if (performance.now() >= claimDueMs) {
        for (const stream of streams) stale.set(stream, "0-0");
        claimDueMs = performance.now() + claimIdleMs / 2;
      }
      const [abandoned] = stale;
      return abandoned === undefined ? readNew() : claim(...abandoned);
    }).pipe(catchError((error) => (isGone(error) ? renew() : throwError(() => error)))),
  };
}

/** The group is not there, or its stream was deleted while a read waited for entries. */
function isGone(error: unknown): boolean {
  return isAnswer(error, "NOGROUP") || isAnswer(error, "UNBLOCKED");
}
