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
import { retryBackoff } from "../../operators/retryBackoff.ts";
import { isRetryable } from "../errors/rxaddError.ts";
import { decodeEntry } from "../reader/decodeEntry.ts";
import { session } from "../redis/connect/session.ts";
import { openGroup } from "../redis/group/groupConnection.ts";
import { consumerReporter } from "../telemetry/consumerReporter.ts";
import { Arrivals } from "./arrivals.ts";
import { consumerName } from "./consumerName.ts";
import type { ConsumerParts } from "./consumerParts.ts";
import { Consumption } from "./consumption.ts";
import type { Delivery } from "./delivery.ts";
import type { GroupOptions, GroupTuning } from "./groupOptions.ts";
import { GroupReader } from "./groupReader.ts";
import { Held } from "./held.ts";
import { GroupSettler } from "./settler.ts";
import { Settling } from "./settling.ts";
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
  const open = () => openGroup({ ...tuning, server: options, name, consumer });
  return session({ open, retry, reporter }, (connection, again) => {
    const { stream: streams, window, windowBytes, count } = tuning;
    const enough = Math.max(streams.length, Math.min(count, Math.ceil(window / 2)));
    const consumption = new Consumption();
    const held = new Held({ window, windowBytes, enough }, reporter.report);
    const settlements = new Settling(connection, retryBackoff(again));
    const parts = { tuning, consumer, reporter, connection, again, consumption, held, settlements };
    const settler = new GroupSettler(parts);
    const arrivals = new Arrivals(parts, settler, decodeEntry<E>(options));
    return merge(
      background(parts, options).pipe(takeUntil(consumption.closed$)),
      concat(opening(parts), reading(parts, arrivals), draining(parts), leaving(parts), closing(parts)),
    ).pipe(
      concatWith(connection.close$),
      finalize(() => settler.unsubscribe()),
    );
  }).pipe(finalize(release));
}

/** What goes on until it is closed. */
function background(
  parts: ConsumerParts,
  { until = NEVER }: Pick<GroupOptions<unknown>, "until">,
): Observable<never> {
  const { reporter, connection, consumption, held, settlements } = parts;
  const stopping$ = until.pipe(
    defaultIfEmpty(undefined),
    take(1),
    tap(() => consumption.happened("stop")),
  );
  const interrupting$ = consumption.phase$.pipe(
    switchMap((phase) => (phase === "stopping" ? timer(0, interruptEveryMs) : EMPTY)),
    tap(() => connection.interrupt()),
  );
  return merge(
    settlements.run$,
    signsOfLife(parts),
    stopping$,
    interrupting$,
    reporter.held === undefined ? EMPTY : held.count$.pipe(tap(reporter.held)),
    connection.failure$,
  ).pipe(ignoreElements());
}

function opening({ tuning, reporter, connection, again, consumption }: ConsumerParts): Observable<never> {
  const { stream: streams, start } = tuning;
  return forkJoin(streams.map((stream) => connection.create(stream, start))).pipe(
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

function reading<E>(parts: ConsumerParts, arrivals: Arrivals<E>): Observable<Delivery<E>> {
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

function draining({ reporter, consumption, held }: ConsumerParts): Observable<never> {
  return defer(() => {
    consumption.happened("readEnded");
    reporter.report({ state: "draining", deliveries: held.all().length });
    return held.count$.pipe(first((count) => count === 0));
  }).pipe(ignoreElements());
}

/** What is pending for it keeps it in the group; what goes wrong with leaving is no reason to fail. */
function leaving({ tuning, connection }: ConsumerParts): Observable<never> {
  return defer(() => merge(...tuning.stream.map((stream) => connection.leave(stream)))).pipe(
    ignoreElements(),
    catchError(() => EMPTY),
  );
}

function closing({ consumption, settlements }: ConsumerParts): Observable<never> {
  return defer(() => {
    consumption.happened("settled");
    settlements.end();
    const { failure } = consumption;
    return failure === undefined ? EMPTY : throwError(() => failure);
  });
}
