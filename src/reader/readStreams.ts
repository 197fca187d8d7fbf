import {
  BehaviorSubject,
  concat,
  defaultIfEmpty,
  defer,
  EMPTY,
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
} from "rxjs";
import type { Flow } from "../../operators/flow.ts";
import { retryBackoff } from "../../operators/retryBackoff.ts";
import { spread } from "../../operators/spread.ts";
import { session } from "../redis/connect/session.ts";
import { openReadConnection, type ReadConnection } from "../redis/read/readConnection.ts";
import type { RawEntry } from "../redis/wire/entryReplies.ts";
import { consumerReporter } from "../telemetry/consumerReporter.ts";
import { beginningOf, type Cursor, endOf, gaps, type Skipped } from "./gap.ts";
import type { ReaderTuning, StreamEntriesOptions } from "./readerOptions.ts";

/** One subscription: opens the connections, and reads on and on. */
export function readStreams<E, A>(
  options: StreamEntriesOptions<E>,
  tuning: ReaderTuning,
  toEntry: (entry: RawEntry) => A,
): Observable<A> {
  const { stream: streams, from, retry } = tuning;
  const { until = NEVER, flow = EMPTY } = options;
  const reporter = consumerReporter(`reading ${streams.join(", ")}`, options);
  const open = () => openReadConnection({ ...tuning, server: options, name: "rxadd:reader" });

  return session({ open, retry, reporter }, (connection, again) => {
    const cursors = new Map<string, Cursor>();
    const skipped$ = new Subject<Skipped>();
    const isFlowing$ = new BehaviorSubject<Flow>("resume");

    /** `$` becomes an ID once, or what comes between two reads would be missed. */
    const opening$ = forkJoin(streams.map((stream) => cursorOf(connection, stream, from))).pipe(
      retryBackoff(again),
      tap((found) => {
        for (const [index, cursor] of found.entries()) {
          const stream = streams[index] ?? "";
          cursors.set(stream, cursor);
          reporter.report({ state: "opened", stream, isNew: false });
        }
      }),
      ignoreElements(),
    );

    const reading$ = defer(() => connection.read(idsOf(cursors), tuning.count)).pipe(
      tap((entries) => {
        reporter.reached();
        advance(cursors, entries, skipped$);
      }),
      retryBackoff(again),
      spread(isFlowing$),
      map(toEntry),
      repeat({ delay: () => isFlowing$.pipe(first((signal) => signal === "resume")) }),
    );

    const background$ = merge(
      gaps(connection, skipped$).pipe(tap(reporter.report)),
      flow.pipe(tap((signal) => isFlowing$.next(signal))),
      connection.failure$,
    ).pipe(ignoreElements());

    return merge(background$, concat(opening$, reading$)).pipe(
      takeUntil(until.pipe(defaultIfEmpty(undefined), take(1))),
    );
  });
}

/** Where reading begins. */
function cursorOf(connection: ReadConnection, stream: string, from: string): Observable<Cursor> {
  if (from !== "$" && from !== "0-0") return of({ entryId: from, index: undefined });
  return connection.standing(stream).pipe(map(from === "$" ? endOf : beginningOf));
}

function idsOf(cursors: ReadonlyMap<string, Cursor>): ReadonlyMap<string, string> {
  return new Map([...cursors].map(([stream, { entryId }]) => [stream, entryId]));
}

/** Moves the cursors on, and asks whether anything is missing before them. */
function advance(
  cursors: Map<string, Cursor>,
  entries: readonly RawEntry[],
  skipped$: Subject<Skipped>,
): void {
  const read = new Map<string, [string, ...string[]]>();
  for (const { stream, entryId } of entries) {
    const entryIds = read.get(stream);
    if (entryIds === undefined) read.set(stream, [entryId]);
    else entryIds.push(entryId);
  }
  for (const [stream, entryIds] of read) {
    const after = cursors.get(stream);
    if (after !== undefined) skipped$.next({ stream, after, entryIds });
    const index = after?.index === undefined ? undefined : after.index + entryIds.length;
    cursors.set(stream, { entryId: entryIds.at(-1) ?? entryIds[0], index });
  }
}
