import {
  asyncScheduler,
  catchError,
  defer,
  distinctUntilChanged,
  EMPTY,
  exhaustMap,
  finalize,
  ignoreElements,
  map,
  merge,
  Observable,
  type SchedulerLike,
  Subject,
  share,
  switchMap,
  throttleTime,
  timer,
} from "rxjs";
import { timeout } from "../options/codecs.ts";
import { decodeOptions } from "../options/decodeOptions.ts";
import { Settings, withDefault } from "../options/settings.ts";
import type { RedisFigures } from "../telemetry/redisFigures.ts";
import type { SinkObserver } from "../telemetry/sinkObserver.ts";
import type { Watchable } from "../telemetry/watchable.ts";
import type { SinkSnapshot } from "./sinkSnapshot.ts";
import { type SinkTally, sinkTally } from "./sinkTally.ts";

/** How closely {@link watchSink} looks. Durations are ms. */
export interface WatchOptions {
  /** How often the numbers are told; a change of state is told at once. Default 250. */
  readonly everyMs?: number;
  /** How often Redis is asked about the streams. Default 1,000. */
  readonly redisEveryMs?: number;
  /** Where time comes from. Default: the clock. */
  readonly scheduler?: SchedulerLike;
}

/** What there is to see of a sink. */
export interface SinkWatch {
  /** How it stands, every `everyMs` and whenever its state changes. Counts from the first subscription on. */
  readonly snapshot$: Observable<SinkSnapshot>;
  /** The same by its old name, until 1.0. @deprecated `snapshot$` */
  readonly sinkStatus$: Observable<SinkSnapshot>;
  /** How its streams and their server stand, every `redisEveryMs`; nothing while Redis cannot be reached, or is in memory. */
  readonly redisFigures$: Observable<RedisFigures>;
}

const settings = new Settings({
  every_ms: withDefault(timeout, 250, "How often the numbers are told"),
  redis_every_ms: withDefault(timeout, 1000, "How often Redis is asked"),
}).inProgram();

/** No more often than this is a change of state told. */
const settleMs = 20;
/** No more often than this are streams asked about that were not known. */
const newStreamsMs = 1000;

/**
 * Watches a sink: for a page of one's own, for tests, for alarms.
 *
 * ```
 * sink          --P---------R-----P--|     P: publishing, R: retrying
 * snapshot$     s-P----s----R----sP--      s: the numbers, every everyMs
 * ```
 *
 * - **Several** subscribers share one watch; `redisFigures$` opens one more connection to Redis while it is subscribed to.
 * - **Misuse** throws `ConfigurationInvalid` at once.
 * - **Errors** none. **Completion** never: a sink may be subscribed to again.
 * - **Teardown** stops watching, and closes that connection.
 *
 * @example
 * ```ts
 * const sink = redisSink({ id: "orders-redis", uri, stream: "orders.events" });
 * watchSink(sink).snapshot$
 *   .pipe(map(({ state }) => state.name), distinctUntilChanged())
 *   .subscribe((name) => console.log(name));
 * ```
 */
export function watchSink(sink: Watchable, options: WatchOptions = {}): SinkWatch {
  const { everyMs, redisEveryMs } = decodeOptions(settings, "watchSink", options, ["scheduler"]);
  const { scheduler = asyncScheduler } = options;
  const snapshot$ = new Observable<SinkSnapshot>((subscriber) => {
    const tally = sinkTally(sink.id, () => scheduler.now());
    const changed$ = new Subject<void>();
    subscriber.add(
      merge(
        timer(0, everyMs, scheduler),
        changed$.pipe(throttleTime(settleMs, scheduler, { leading: true, trailing: true })),
      )
        .pipe(map(tally.now))
        .subscribe(subscriber),
    );
    subscriber.add(sink.watch(telling(tally, changed$)));
  }).pipe(share());

  const redisFigures$ = defer(() => {
    const opened = sink.openWatch();
    if (opened === undefined) return EMPTY;
    const { look, failure$, unsubscribe } = opened;
    const streams$ = snapshot$.pipe(
      map(({ streams }) => streams),
      distinctUntilChanged(areSame),
      throttleTime(Math.min(redisEveryMs, newStreamsMs), scheduler, { leading: true, trailing: true }),
    );
    const figures$ = streams$.pipe(
      switchMap((streams) =>
        timer(0, redisEveryMs, scheduler).pipe(
          // What is wrong with Redis, the sink says.
          exhaustMap(() => look(streams).pipe(catchError(() => EMPTY))),
        ),
      ),
    );
    const failed$ = failure$.pipe(
      ignoreElements(),
      catchError(() => EMPTY),
    );
    return merge(figures$, failed$).pipe(finalize(unsubscribe));
  }).pipe(share());

  return { snapshot$, sinkStatus$: snapshot$, redisFigures$ };
}

/** The same streams, whichever had the last checkpoint. */
function areSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((stream) => others.includes(stream));
}

/** Passes everything on to the tally, and tells changes of state. */
function telling(tally: SinkTally, changed$: Subject<void>): SinkObserver {
  return {
    ...tally,
    status: (status) => {
      tally.status(status);
      changed$.next();
    },
  };
}
