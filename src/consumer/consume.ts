import {
  asapScheduler,
  catchError,
  concat,
  concatMap,
  concatWith,
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
  observeOn,
  repeat,
  switchMap,
  take,
  takeUntil,
  tap,
  throwError,
  timer,
} from "rxjs";
import { type RetryBackoffOptions, retryBackoff } from "../../operators/retryBackoff.ts";
import { isRetryable } from "../errors/rxaddError.ts";
import { session } from "../redis/connect/session.ts";
import { type GroupConnection, openGroupConnection } from "../redis/group/groupConnection.ts";
import { type ConsumerReporter, consumerReporter } from "../telemetry/consumerReporter.ts";
import { Arrivals } from "./arrivals.ts";
import { consumerName } from "./consumerName.ts";
import { Consumption } from "./consumption.ts";
import type { Delivery } from "./delivery.ts";
import type { GroupOptions, GroupTuning } from "./groupOptions.ts";
import { GroupReader } from "./groupReader.ts";
import { Held } from "./held.ts";
import { GroupSettler } from "./settler.ts";
import { type Settling, settling } from "./settling.ts";
import { signsOfLife } from "./signsOfLife.ts";

/** How often a read that waits is told to end, once it shall: it may have begun after being told. */
const interruptEveryMs = 50;

/** One subscription: connects, reads as long as it may, waits until all is settled, and leaves. */
export function consume<E>(options: GroupOptions<E>, tuning: GroupTuning): Observable<Delivery<E>> {
  const { group, retry } = tuning;
  const { name: consumer, release } =
    tuning.consumer === undefined ? consumerName() : { name: tuning.consumer, release: () => {} };
  const reporter = consumerReporter(`groupDeliveries ${group}`, options);
  const name = `rxadd:${group}:${consumer}`;
  const open = () => openGroupConnection({ ...tuning, server: options, name, consumer });
  return session({ open, retry, reporter }, (connection, again) =>
    deliveriesOf({ options, tuning, consumer, reporter, connection, again }),
  ).pipe(finalize(release));
}

interface Connected<E> {
  readonly options: GroupOptions<E>;
  readonly tuning: GroupTuning;
  readonly consumer: string;
  readonly reporter: ConsumerReporter;
  readonly connection: GroupConnection;
  readonly again: RetryBackoffOptions;
}

interface Parts<E> extends Connected<E> {
  readonly consumption: Consumption;
  readonly held: Held;
  readonly settlements: Settling;
}

function deliveriesOf<E>(connected: Connected<E>): Observable<Delivery<E>> {
  const { tuning, reporter, connection, again } = connected;
  const { stream: streams, window, windowBytes, count } = tuning;
  const enough = Math.max(streams.length, Math.min(count, Math.ceil(window / 2)));
  const consumption = new Consumption();
  const held = new Held({ window, windowBytes, enough }, reporter.report);
  const settlements = settling(connection, retryBackoff(again));
  const parts: Parts<E> = { ...connected, consumption, held, settlements };
  const settler = new GroupSettler<E>({
    ...parts,
    processed: (stream, ids) =>
      connection.processed(stream, ids).pipe(
        retryBackoff(again),
        // Whoever asks for more has lost them: nothing is held any more.
        takeUntil(consumption.closed$),
        defaultIfEmpty(ids.map(() => false)),
      ),
  });
  const arrivals = new Arrivals<E>({ ...parts, settler });
  return merge(
    background(parts).pipe(takeUntil(consumption.closed$)),
    concat(opening(parts), reading(parts, arrivals), draining(parts), leaving(parts), closing(parts)),
  ).pipe(
    concatWith(connection.close$),
    finalize(() => settler.unsubscribe()),
  );
}

/** What goes on until it is closed. */
function background<E>(parts: Parts<E>): Observable<never> {
  const { options, tuning, reporter, connection, consumption, held, settlements } = parts;
  const { until = NEVER } = options;
  const stopping$ = until.pipe(
    defaultIfEmpty(undefined),
    take(1),
    tap(() => consumption.happened("stop")),
  );
  const interrupting$ = consumption.phase$.pipe(
    switchMap((phase) => (phase === "stopping" ? timer(0, interruptEveryMs) : EMPTY)),
    tap(connection.interrupt),
  );
  return merge(
    settlements.run$,
    signsOfLife(held, settlements, tuning.claimIdleMs / 3),
    stopping$,
    interrupting$,
    options.metrics === undefined ? EMPTY : held.count$.pipe(tap(reporter.held)),
    connection.failure$,
  ).pipe(ignoreElements());
}

function opening<E>({ tuning, reporter, connection, again, consumption }: Parts<E>): Observable<never> {
  const { stream: streams, start, claimIdleMs } = tuning;
  return forkJoin(
    streams.map((stream) =>
      connection
        .create(stream, start)
        .pipe(concatMap((was) => connection.introduce(stream, claimIdleMs).pipe(map(() => was)))),
    ),
  ).pipe(
    retryBackoff(again),
    takeUntil(consumption.stop$),
    tap((were) => {
      for (const [index, stream] of streams.entries())
        reporter.report({ state: "opened", stream, isNew: were[index] === false });
      consumption.happened("opened");
    }),
    ignoreElements(),
  );
}

function reading<E>(parts: Parts<E>, arrivals: Arrivals<E>): Observable<Delivery<E>> {
  const { reporter, connection, again, consumption, held } = parts;
  const reader = new GroupReader(parts);
  /** Reads once, unless it shall stop: then a read that fails has brought nothing that could be waited for. */
  const readOnce$ = defer(() => (consumption.is("reading") ? reader.read$ : EMPTY)).pipe(
    map((arrived) => arrivals.receive(arrived)),
    catchError((error) =>
      consumption.is("reading") || !isRetryable(error) ? throwError(() => error) : EMPTY,
    ),
  );
  return readOnce$.pipe(
    retryBackoff({
      ...again,
      wake: merge(connection.ready$, consumption.stop$),
      failed: {
        next: (attempt) => {
          reporter.failed(attempt);
          reader.recover();
        },
      },
    }),
    repeat({ delay: () => held.hasRoom$.pipe(first(Boolean), takeUntil(consumption.stop$)) }),
    // So that Redis reads what comes next while this is handled.
    observeOn(asapScheduler),
    concatMap((received) => received),
  );
}

function draining<E>({ reporter, consumption, held }: Parts<E>): Observable<never> {
  return defer(() => {
    consumption.happened("readEnded");
    reporter.report({ state: "draining", deliveries: held.all().length });
    return held.count$.pipe(first((count) => count === 0));
  }).pipe(ignoreElements());
}

/** What is pending for it keeps it in the group; what goes wrong with leaving is no reason to fail. */
function leaving<E>({ tuning, connection }: Parts<E>): Observable<never> {
  return defer(() => merge(...tuning.stream.map((stream) => connection.leave(stream)))).pipe(
    ignoreElements(),
    catchError(() => EMPTY),
  );
}

function closing<E>({ consumption, settlements }: Parts<E>): Observable<never> {
  return defer(() => {
    consumption.happened("settled");
    settlements.end();
    const { failure } = consumption;
    return failure === undefined ? EMPTY : throwError(() => failure);
  });
}
