import { isLeft } from "fp-ts/lib/Either.js";
import { none, some } from "fp-ts/lib/Option.js";
import {
  BehaviorSubject,
  catchError,
  concat,
  concatMap,
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
import type { RawEntry } from "../redis/entryReplies.ts";
import { openReadConnection } from "../redis/readConnection.ts";
import { isRetryable, sinkError } from "../sinkError.ts";
import type { ReaderOptions } from "./consumerOptions.ts";
import { consumerReporter } from "./consumerReporter.ts";
import { type ReaderTuning, readerTuning } from "./consumerTuning.ts";
import { decodeEntry, fieldsOf } from "./decodeEntry.ts";
import type { StreamEntry } from "./delivery.ts";
import { beginningOf, type Cursor, endOf, gaps, type Skipped } from "./gap.ts";

/**
 * Reads streams without a group: every subscriber gets every entry.
 *
 * ```
 * stream    ab-----c-d--
 * entries   -------c-d--      from "$"
 * ```
 *
 * - **Delivery** each entry once and in order, from where it began; after a lost connection it goes on after the last
 *   one it emitted. Nothing is missed between two reads.
 * - **Gaps** if entries were trimmed before they were read, the status says so.
 * - **Memory** one read, `count` entries a stream; `flow` pauses reading.
 * - **Misuse** throws `ConfigurationInvalid` at once, with all that is wrong with the options.
 * - **Errors** a {@link SinkError} that says what to do; `EntryNotDecodable` for an entry that `codec` refuses.
 * - **Completion** never by itself; at once when `until` emits.
 * - **Teardown** closes the connections at once.
 *
 * @example
 * ```ts
 * streamEntries<Order>({ uri: "redis://localhost", stream: ["orders.events", "returns.events"] })
 *   .subscribe(({ stream, entryId, event }) => console.log(stream, entryId, event.id));
 * ```
 */
export function streamEntries<E = unknown>(options: ReaderOptions<E>): Observable<StreamEntry<E>> {
  const tuning = readerTuning(options);
  return defer(() => readAll(options, tuning));
}

/** One subscription. */
function readAll<E>(options: ReaderOptions<E>, tuning: ReaderTuning): Observable<StreamEntry<E>> {
  const { stream: streams, from, count, blockMs } = tuning;
  const { codec, until = NEVER, flow = EMPTY } = options;
  const { report, reached, failed, closed } = consumerReporter(options);
  const decode = decodeEntry(codec);
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

  function toEntry({ stream, entryId, fields: pairs }: RawEntry): StreamEntry<E> {
    const fields = fieldsOf(pairs ?? []);
    const decoded = decode(fields);
    if (!isLeft(decoded)) return { stream, entryId, fields, event: decoded.right };
    throw sinkError(
      "EntryNotDecodable",
      `${stream}: entry ${entryId} cannot be decoded: ${decoded.left}: mend the codec, or read from there on`,
    );
  }

  const reading$ = defer(() =>
    connection.read(new Map([...cursors].map(([stream, { entryId }]) => [stream, entryId])), count),
  ).pipe(
    tap(advance),
    retryBackoff(retry),
    concatMap((entries) => entries),
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
