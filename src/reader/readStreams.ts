import { none, some } from "fp-ts/lib/Option.js";
import {
  BehaviorSubject,
  catchError,
  concat,
  defaultIfEmpty,
  defer,
  EMPTY,
  finalize,
  first,
  forkJoin,
  ignoreElements,
  map,
  merge,
  NEVER,
  type Observable,
  of,
  repeat,
  Subject,
  take,
  takeUntil,
  tap,
  throwError,
} from "rxjs";
import type { Flow } from "../../operators/flow.ts";
import { retryBackoff } from "../../operators/retryBackoff.ts";
import { spread } from "../../operators/spread.ts";
import { isRetryable } from "../errors/rxaddError.ts";
import { openReadConnection } from "../redis/read/readConnection.ts";
import type { RawEntry } from "../redis/wire/entryReplies.ts";
import { consumerReporter } from "../telemetry/consumerReporter.ts";
import { beginningOf, type Cursor, endOf, gaps, type Skipped } from "./gap.ts";
import type { ReaderOptions, ReaderTuning } from "./readerOptions.ts";

/** One subscription: opens the connections, and reads on and on. */
export function readStreams<E, A>(
  options: ReaderOptions<E>,
  tuning: ReaderTuning,
  toEntry: (entry: RawEntry) => A,
): Observable<A> {
  const { stream: streams, from, count, blockMs } = tuning;
  const { until = NEVER, flow = EMPTY } = options;
  const { report, reached, failed, closed } = consumerReporter(`reading ${streams.join(", ")}`, options);
  const cursors = new Map<string, Cursor>();
  const skipped$ = new Subject<Skipped>();
  const isFlowing$ = new BehaviorSubject<Flow>("resume");

  report({ state: "connecting" });
  const connection = openReadConnection({
    server: options,
    name: "rxadd:reader",
    blockMs,
    tls: tuning.tls,
    sentinel: tuning.sentinel,
    connectTimeoutMs: tuning.connectTimeoutMs,
    sendTimeoutMs: tuning.sendTimeoutMs,
  });
  const retry = { ...tuning.retry, isRetryable, wake: connection.ready$, failed: { next: failed } };

  function cursorOf(stream: string): Observable<Cursor> {
    if (from !== "$" && from !== "0-0") return of({ entryId: from, index: undefined });
    return connection.standing(stream).pipe(map(from === "$" ? endOf : beginningOf));
  }

  /** `$` becomes an ID once, or what comes between two reads would be missed. */
  const opening$ = forkJoin(streams.map(cursorOf)).pipe(
    retryBackoff(retry),
    tap((found) => {
      for (const [index, cursor] of found.entries()) {
        const stream = streams[index] ?? "";
        cursors.set(stream, cursor);
        report({ state: "opened", stream, isNew: false });
      }
    }),
    ignoreElements(),
  );

  /** Moves the cursors on, and asks whether anything is missing before them. */
  function advance(entries: readonly RawEntry[]): void {
    reached();
    const moved = new Map<string, Cursor>();
    for (const { stream, entryId } of entries) {
      const cursor = moved.get(stream) ?? cursors.get(stream);
      if (cursor !== undefined && !moved.has(stream))
        skipped$.next({ stream, after: cursor, before: entryId });
      moved.set(stream, { entryId, index: cursor?.index === undefined ? undefined : cursor.index + 1 });
    }
    for (const [stream, cursor] of moved) cursors.set(stream, cursor);
  }

  const reading$ = defer(() =>
    connection.read(new Map([...cursors].map(([stream, { entryId }]) => [stream, entryId])), count),
  ).pipe(
    tap(advance),
    retryBackoff(retry),
    spread(isFlowing$),
    map(toEntry),
    repeat({ delay: () => isFlowing$.pipe(first((signal) => signal === "resume")) }),
  );

  const background$ = merge(
    gaps(connection, skipped$).pipe(tap(report)),
    flow.pipe(tap((signal) => isFlowing$.next(signal))),
    connection.failure$,
  ).pipe(ignoreElements());

  return merge(background$, concat(opening$, reading$)).pipe(
    takeUntil(until.pipe(defaultIfEmpty(undefined), take(1))),
    catchError((error) => {
      closed(some(error instanceof Error ? error : new Error(String(error))));
      return throwError(() => error);
    }),
    finalize(() => {
      closed(none);
      connection.unsubscribe();
    }),
  );
}
