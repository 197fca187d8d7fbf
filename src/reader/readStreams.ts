import {
  BehaviorSubject,
  catchError,
  concat,
  concatMap,
  defaultIfEmpty,
  defer,
  EMPTY,
  filter,
  first,
  forkJoin,
  ignoreElements,
  map,
  merge,
  NEVER,
  type Observable,
  repeat,
  Subject,
  take,
  takeUntil,
  takeWhile,
  tap,
} from "rxjs";
import type { Flow } from "../../operators/flow.ts";
import { retryBackoff } from "../../operators/retryBackoff.ts";
import { spread } from "../../operators/spread.ts";
import { session } from "../redis/connect/session.ts";
import { openReadConnection, type ReadConnection, type Standing } from "../redis/read/readConnection.ts";
import type { RawEntry } from "../redis/wire/entryReplies.ts";
import { consumerReporter } from "../telemetry/consumerReporter.ts";
import { type Cursor, cursorAfter, gapAfter, gaps, type Skipped } from "./gap.ts";
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
    const caughtUp$ = skipped$.pipe(filter(({ entryIds }) => entryIds.length < tuning.count));
    const isFlowing$ = new BehaviorSubject<Flow>("resume");

    /** `$` becomes an ID once, or what comes between two reads would be missed. */
    function begin(stream: string, standing: Standing): void {
      const entryId = from === "$" ? standing.lastEntryId : from.includes("-") ? from : `${from}-0`;
      cursors.set(stream, cursorAfter(entryId, standing));
      reporter.report({ state: "opened", stream, isNew: false });
      const gap = gapAfter(stream, entryId, standing);
      if (gap !== undefined) reporter.report(gap);
    }

    const opening$ = forkJoin(streams.map((stream) => connection.standing(stream))).pipe(
      retryBackoff(again),
      tap((standings) => {
        for (const [index, standing] of standings.entries()) begin(streams[index] ?? "", standing);
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
      counting(connection, cursors, caughtUp$),
      flow.pipe(tap((signal) => isFlowing$.next(signal))),
      connection.failure$,
    ).pipe(ignoreElements());

    return merge(background$, concat(opening$, reading$)).pipe(
      takeUntil(until.pipe(defaultIfEmpty(undefined), take(1))),
    );
  });
}

/** Of an ID that was kept it may be unknown how many there were before; that is known where it has caught up. */
function counting(
  connection: ReadConnection,
  cursors: Map<string, Cursor>,
  caughtUp$: Observable<Skipped>,
): Observable<unknown> {
  return caughtUp$.pipe(
    filter(({ after }) => after.index === undefined),
    concatMap(({ stream }) =>
      connection.standing(stream).pipe(
        tap((standing) => {
          const { lastEntryId } = standing;
          if (cursors.get(stream)?.entryId === lastEntryId)
            cursors.set(stream, cursorAfter(lastEntryId, standing));
        }),
        // Reading itself tells of a lost connection.
        catchError(() => EMPTY),
      ),
    ),
    takeWhile(({ added }) => added !== undefined),
  );
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
