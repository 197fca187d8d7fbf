import {
  catchError,
  defer,
  forkJoin,
  ignoreElements,
  map,
  merge,
  type Observable,
  tap,
  throwError,
} from "rxjs";
import { isAnswer, type Room } from "../redis/group/groupConnection.ts";
import type { Pending, PendingEntry, RawEntry } from "../redis/wire/entryReplies.ts";
import type { ConsumerParts } from "./consumerParts.ts";
import { groupGaps } from "./groupGaps.ts";
import { renewGroup } from "./groupRenewal.ts";
import { ReadCount } from "./readCount.ts";

/** What one read brought. */
export type Arrived =
  | { readonly kind: "new"; readonly entries: readonly RawEntry[] }
  /** Delivered before. One without fields has been deleted. */
  | { readonly kind: "pending"; readonly entries: readonly PendingEntry[] };

const nothing: Arrived = { kind: "new", entries: [] };

/** For how long a group that had read everything is taken to be up to date. */
const upToDateForMs = 20;

/**
 * Reads in turns: what this consumer has had before, then new entries, and every now and then what others
 * have had for too long.
 */
export class GroupReader {
  /** Reads once; emits what came, perhaps nothing. */
  readonly read$: Observable<Arrived> = defer(() => this.#next()).pipe(
    catchError((error) =>
      isGone(error)
        ? renewGroup(this.#parts, this.#latest).pipe(map(() => this.#beginAnew()))
        : throwError(() => error),
    ),
  );
  readonly #parts: ConsumerParts;
  readonly #gaps: ReturnType<typeof groupGaps>;
  readonly #count: ReadCount;
  // By stream: the last ID that was looked at; empty: none.
  readonly #own = new Map<string, string>();
  readonly #stale = new Map<string, string>();
  // By stream: the last entry that was read.
  readonly #latest = new Map<string, string>();
  #claimDueMs: number;
  // When the group was known to be up to date: what waits meanwhile may be trimmed unread.
  #upToDateMs = Number.NEGATIVE_INFINITY;

  constructor(parts: ConsumerParts) {
    const { tuning, reporter, connection } = parts;
    this.#parts = parts;
    this.#gaps = groupGaps(reporter.report);
    this.#count = new ReadCount(tuning.stream.length);
    this.#claimDueMs = connection.nowMs() + tuning.claimIdleMs / 2;
    this.recover();
  }

  /** An answer was lost: what Redis has delivered since the last one is looked for first. */
  recover(): void {
    for (const stream of this.#parts.tuning.stream) this.#own.set(stream, "");
    this.#upToDateMs = Number.NEGATIVE_INFINITY;
  }

  /** What is known of this consumer went with the group. */
  #beginAnew(): Arrived {
    this.recover();
    return nothing;
  }

  #next(): Observable<Arrived> {
    const { connection, tuning } = this.#parts;
    const { stream: streams, claimIdleMs } = tuning;
    const [mine] = this.#own;
    if (mine !== undefined) return this.#readOwn(...mine);
    if (connection.nowMs() >= this.#claimDueMs) {
      for (const stream of streams) this.#stale.set(stream, "");
      this.#claimDueMs = connection.nowMs() + claimIdleMs / 2;
    }
    const [abandoned] = this.#stale;
    return abandoned === undefined ? this.#readNew() : this.#claim(...abandoned);
  }

  #readOwn(stream: string, after: string): Observable<Arrived> {
    return this.#parts.connection
      .readPending("own", stream, after, this.#room())
      .pipe(map((pending) => found(pending, this.#own, stream)));
  }

  #claim(stream: string, after: string): Observable<Arrived> {
    const { connection, reporter } = this.#parts;
    return connection.readPending("stale", stream, after, this.#room()).pipe(
      map((pending) => found(pending, this.#stale, stream)),
      tap(({ entries }) => {
        const claimed = entries.filter(({ fields }) => fields !== null).length;
        if (claimed > 0) reporter.report({ state: "claimed", stream, entries: claimed });
      }),
    );
  }

  #readNew(): Observable<Arrived> {
    const { connection, tuning } = this.#parts;
    const untilClaimMs = Math.max(1, Math.ceil(this.#claimDueMs - connection.nowMs()));
    const most = this.#count.next(this.#room());
    const isUpToDate = connection.nowMs() - this.#upToDateMs < upToDateForMs;
    const read$ = connection.readNew(tuning.stream, most, Math.min(tuning.blockMs, untilClaimMs)).pipe(
      map((entries): Arrived => {
        this.#count.came(entries);
        this.#upToDateMs = entries.length < most ? connection.nowMs() : Number.NEGATIVE_INFINITY;
        for (let index = entries.length - 1; index >= 0; index -= 1) {
          const entry = entries[index];
          if (entry !== undefined && entry.stream !== entries[index + 1]?.stream)
            this.#latest.set(entry.stream, entry.entryId);
        }
        return { kind: "new", entries };
      }),
    );
    return isUpToDate ? read$ : merge(this.#look(), read$);
  }

  /** Looks, before what is read next, whether something was trimmed that the group should have read. */
  #look(): Observable<never> {
    const { connection, tuning } = this.#parts;
    return forkJoin(
      tuning.stream.map((stream) =>
        connection.progress(stream).pipe(
          tap((progress) => {
            if (progress === undefined) return;
            if (!this.#latest.has(stream)) this.#latest.set(stream, progress.lastDeliveredId);
            this.#gaps(stream, progress);
          }),
        ),
      ),
    ).pipe(ignoreElements());
  }

  /** How much a read may bring now. */
  #room(): Room {
    const { tuning, held } = this.#parts;
    return {
      entries: Math.max(1, Math.min(tuning.count * tuning.stream.length, held.room())),
      // What one read brings is there twice and three times until it is decoded.
      bytes: Math.max(1, Math.min(held.bytesRoom(), tuning.windowBytes / 8)),
    };
  }
}

/** Goes on after what was found, until there is no more. */
function found({ entries, next }: Pending, cursors: Map<string, string>, stream: string): Arrived {
  if (next === undefined) cursors.delete(stream);
  else cursors.set(stream, next);
  return { kind: "pending", entries };
}

/** The group is not there, or its stream was deleted while a read waited for entries. */
function isGone(error: unknown): boolean {
  return isAnswer(error, "NOGROUP") || isAnswer(error, "UNBLOCKED");
}
