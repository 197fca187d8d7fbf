import { isLeft } from "fp-ts/lib/Either.js";
import { none, some } from "fp-ts/lib/Option.js";
import {
  asapScheduler,
  BehaviorSubject,
  catchError,
  concat,
  concatMap,
  concatWith,
  defaultIfEmpty,
  defer,
  EMPTY,
  filter,
  finalize,
  first,
  forkJoin,
  ignoreElements,
  interval,
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
import { isRetryable, isRxaddError, type RxaddError, rxaddError } from "../errors/rxaddError.ts";
import { decodeEntry } from "../reader/decodeEntry.ts";
import { openGroupConnection } from "../redis/group/groupConnection.ts";
import type { PendingEntry, RawEntry } from "../redis/wire/entryReplies.ts";
import { refuseKeyPrefix } from "../redis/wire/keyPrefix.ts";
import { consumerReporter } from "../telemetry/consumerReporter.ts";
import { consumerName } from "./consumerName.ts";
import { type Happening, type Phase, phaseAfter } from "./consumption.ts";
import type { DeadLetterCause } from "./deadLetterFields.ts";
import type { Delivery } from "./delivery.ts";
import { type GroupOptions, type GroupTuning, groupTuning } from "./groupOptions.ts";
import { type Arrived, reading } from "./groupReader.ts";
import { type Holding, heldDeliveries } from "./held.ts";
import { groupSettler } from "./settler.ts";
import { settling } from "./settling.ts";
import { unsureStarts } from "./unsureStarts.ts";

/** How often a read that waits is told to end, once it shall: it may have begun after being told. */
const interruptEveryMs = 50;

/**
 * Reads streams as one consumer of a group: what it had before, then new entries, and those that dead
 * consumers leave behind.
 *
 * ```
 * stream       -abcd-----e--
 * deliveries   -abc----d-e--      window 3: d comes when one of the others is settled
 * ```
 *
 * - **Delivery** at least once: each stays pending in Redis until `acknowledge` has settled it. A delivery of which its
 *   consumer gives no sign for `claimIdleMs` is claimed by another one; one that is being handled gives signs by itself.
 * - **Memory** up to `window` deliveries over all streams, and about `windowBytes`; it reads when half of them are settled.
 * - **Retries** a lost connection is made again, for ever; what Redis delivered meanwhile is found again.
 * - **Misuse** throws `ConfigurationInvalid` at once, with all that is wrong with the options.
 * - **Errors** an {@link RxaddError} that says what to do; `EntryNotDecodable` without `deadLetters`, after
 *   what was read before it is settled.
 * - **Completion** never by itself; once `until` emits it reads no more, waits until everything is settled, leaves the
 *   group unless something is pending for it, closes the connections and completes; at once if it holds nothing.
 * - **Teardown** closes the connections at once; what is not settled stays pending.
 *
 * @example
 * ```ts
 * groupDeliveries<Order>({ uri: "redis://localhost", stream: "orders.events", group: "mailer" })
 *   .pipe(acknowledge((order) => sendMail(order), { concurrency: 10 }))
 *   .subscribe();
 * ```
 */
export function groupDeliveries<E = unknown>(options: GroupOptions<E>): Observable<Delivery<E>> {
  const tuning = groupTuning(options);
  refuseKeyPrefix("groupDeliveries", options);
  if (options.maxDeliveries !== undefined && tuning.deadLetters === undefined) {
    throw rxaddError(
      "ConfigurationInvalid",
      `groupDeliveries: maxDeliveries: found ${options.maxDeliveries}, expected deadLetters as well: where should they go after that?`,
    );
  }
  if (tuning.window < tuning.stream.length) {
    throw rxaddError(
      "ConfigurationInvalid",
      `groupDeliveries: window: found ${tuning.window}, expected at least one for each of the ${tuning.stream.length} streams`,
    );
  }
  return defer(() => consume(options, tuning));
}

/** One subscription. */
function consume<E>(options: GroupOptions<E>, tuning: GroupTuning): Observable<Delivery<E>> {
  const { stream: streams, group, start, blockMs, claimIdleMs, maxDeliveries, deadLetters } = tuning;
  const { name: consumer, release } =
    tuning.consumer === undefined ? consumerName() : { name: tuning.consumer, release: () => {} };
  const { until = NEVER } = options;
  const reporter = consumerReporter(`groupDeliveries ${group}`, options);
  const { report, reached, failed, closed } = reporter;
  const decode = decodeEntry<E>(options);
  const phase$ = new BehaviorSubject<Phase>("opening");
  const after = (happening: Happening) => phase$.next(phaseAfter(phase$.value, happening));
  const isIn = (...phases: readonly Phase[]) => phases.includes(phase$.value);
  const stop$ = phase$.pipe(filter((phase) => phase !== "opening" && phase !== "reading"));
  const closed$ = phase$.pipe(filter((phase) => phase === "closed"));
  let failure: RxaddError | undefined;

  report({ state: "connecting" });
  const connection = openGroupConnection({
    server: options,
    name: `rxadd:${group}:${consumer}`,
    membership: { group, consumer },
    blockMs,
    tls: tuning.tls,
    sentinel: tuning.sentinel,
    connectTimeoutMs: tuning.connectTimeoutMs,
    sendTimeoutMs: tuning.sendTimeoutMs,
  });
  const retry = { ...tuning.retry, isRetryable, wake: connection.ready$ };
  const retryTold = { ...retry, failed: { next: failed } };
  const { window, windowBytes } = tuning;
  const enough = Math.max(streams.length, Math.min(tuning.count, Math.ceil(window / 2)));
  const held = heldDeliveries({ window, windowBytes, enough });
  const settlements = settling(connection, retryBackoff(retryTold));
  const settler = groupSettler<E>({
    tuning,
    consumer,
    held,
    settlements,
    processed: (stream, ids) =>
      connection.processed(stream, ids).pipe(
        retryBackoff(retryTold),
        // Whoever asks for more has lost them: nothing is held any more.
        takeUntil(closed$),
        defaultIfEmpty(ids.map(() => false)),
      ),
    stop$,
    reporter,
  });
  const { read$, recover } = reading({
    connection,
    streams,
    start,
    blockMs,
    claimIdleMs,
    room: () => ({
      entries: Math.max(1, Math.min(tuning.count * streams.length, held.room())),
      // What one read brings is there twice and three times until it is decoded.
      bytes: Math.max(1, Math.min(held.bytesRoom(), windowBytes / 8)),
    }),
    oldest: (stream) => {
      const [first] = held.all().filter((holding) => holding.stream === stream);
      return first?.entryId;
    },
    report,
  });

  /** Makes deliveries of what came; what cannot be one is set aside. */
  function receive(arrived: Arrived): readonly Delivery<E>[] {
    reached();
    const received: Delivery<E>[] = [];
    if (arrived.kind === "new") for (const entry of arrived.entries) deliver(entry, 0, received);
    else takeAgain(arrived.entries, received);
    if (received.length > 0) reporter.delivered(received.length);
    return received;
  }

  function takeAgain(entries: readonly PendingEntry[], received: Delivery<E>[]): void {
    const deleted = new Map<string, string[]>();
    for (const entry of entries) {
      const { stream, entryId, fields } = entry;
      // It may be at work here.
      if (held.get(stream, entryId) !== undefined) continue;
      if (fields === null) {
        settler.dismiss(stream, entryId);
        deleted.set(stream, [...(deleted.get(stream) ?? []), entryId]);
      } else deliver(entry, entry.deliveries, received);
    }
    for (const [stream, entryIds] of deleted) report({ state: "deleted", stream, entryIds });
  }

  /** `counted`: how often Redis says that it was started. */
  function deliver(entry: RawEntry, counted: number, received: Delivery<E>[]): void {
    if (failure !== undefined) return;
    const { stream, entryId, bytes } = entry;
    const deliveries = counted + 1;
    const raw = entry.fields ?? [];
    const decoded = decode(raw);
    if (isLeft(decoded)) {
      setAside({ stream, entryId, deliveries, content: raw }, bytes, "EntryNotDecodable", decoded.left);
    } else if (deadLetters !== undefined && counted - unsureStarts(counted) >= maxDeliveries) {
      const reason = `delivered ${counted} times: its consumers died or hung`;
      setAside({ stream, entryId, deliveries, content: raw }, bytes, "DeliveredTooOften", reason);
    } else {
      const { fields, content, event } = decoded.right;
      const delivery = { stream, entryId, fields, content, event, deliveries, mark: undefined, settler };
      if (counted > 0) settler.found(delivery, counted);
      held.add(delivery, bytes);
      received.push(delivery);
    }
  }

  function setAside(entry: Holding, bytes: number, cause: DeadLetterCause, reason: string): void {
    if (deadLetters === undefined) {
      const { stream, entryId } = entry;
      fail(
        rxaddError(
          "EntryNotDecodable",
          `${stream}: entry ${entryId} cannot be decoded: ${reason}: set deadLetters, or mend the codec`,
        ),
      );
      return;
    }
    held.add(entry, bytes);
    settler.setAside(entry, cause, reason, deadLetters.stream, (outcome) => {
      if (!(outcome instanceof Error)) return;
      held.remove(entry);
      fail(outcome);
    });
  }

  /** Ends, once what came before is settled. */
  function fail(error: unknown): void {
    failure ??= isRxaddError(error) ? error : rxaddError("Refused", String(error), error);
    after("stop");
  }

  const opening$ = forkJoin(
    streams.map((stream) =>
      connection
        .create(stream, start)
        .pipe(concatMap((was) => connection.introduce(stream, claimIdleMs).pipe(map(() => was)))),
    ),
  ).pipe(
    retryBackoff(retryTold),
    takeUntil(stop$),
    tap((were) => {
      for (const [index, stream] of streams.entries())
        report({ state: "opened", stream, isNew: were[index] === false });
      after("opened");
    }),
    ignoreElements(),
  );

  /** Reads once, unless it shall stop: then a read that fails has brought nothing that could be waited for. */
  const readOnce$ = defer(() => (isIn("reading") ? read$ : EMPTY)).pipe(
    map(receive),
    catchError((error) => (isIn("reading") || !isRetryable(error) ? throwError(() => error) : EMPTY)),
  );

  const reading$ = readOnce$.pipe(
    retryBackoff({
      ...retry,
      wake: merge(connection.ready$, stop$),
      failed: {
        next: (attempt) => {
          failed(attempt);
          recover();
        },
      },
    }),
    repeat({ delay: () => held.hasRoom$.pipe(first(Boolean), takeUntil(stop$)) }),
    // So that Redis reads what comes next while this is handled.
    observeOn(asapScheduler),
    concatMap((received) => received),
  );

  const drained$ = defer(() => {
    after("readEnded");
    report({ state: "draining", deliveries: held.all().length });
    return held.count$.pipe(first((count) => count === 0));
  }).pipe(ignoreElements());

  /** What is pending for it keeps it in the group; what goes wrong with leaving is no reason to fail. */
  const leaving$ = defer(() => merge(...streams.map((stream) => connection.leave(stream)))).pipe(
    ignoreElements(),
    catchError(() => EMPTY),
  );

  const stopping$ = merge(
    until.pipe(
      defaultIfEmpty(undefined),
      take(1),
      tap(() => after("stop")),
    ),
    phase$.pipe(
      switchMap((phase) => (phase === "stopping" ? timer(0, interruptEveryMs) : EMPTY)),
      tap(connection.interrupt),
    ),
  ).pipe(ignoreElements());

  const background$ = merge(
    settlements.run$,
    interval(claimIdleMs / 3).pipe(tap(settler.keepAlive), ignoreElements()),
    stopping$,
    options.metrics === undefined ? EMPTY : held.count$.pipe(tap(reporter.held), ignoreElements()),
    connection.failure$,
  );

  return merge(
    background$.pipe(takeUntil(closed$)),
    concat(
      opening$,
      reading$,
      drained$,
      leaving$,
      defer(() => {
        after("settled");
        settlements.end();
        return failure === undefined ? EMPTY : throwError(() => failure);
      }),
    ),
  ).pipe(
    concatWith(connection.close$),
    catchError((error) => {
      closed(some(error instanceof Error ? error : new Error(String(error))));
      return throwError(() => error);
    }),
    finalize(() => {
      closed(none);
      release();
      settler.unsubscribe();
      connection.unsubscribe();
    }),
  );
}
