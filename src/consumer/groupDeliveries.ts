import { hostname } from "node:os";
import { isLeft } from "fp-ts/lib/Either.js";
import { none, some } from "fp-ts/lib/Option.js";
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
  interval,
  map,
  merge,
  NEVER,
  type Observable,
  observeOn,
  ReplaySubject,
  repeat,
  Subject,
  take,
  takeUntil,
  tap,
  throwError,
  timer,
} from "rxjs";
import { retryBackoff } from "../../operators/retryBackoff.ts";
import { openGroupConnection } from "../redis/groupConnection.ts";
import { isRetryable, isSinkError, type SinkError, sinkError } from "../sinkError.ts";
import type { GroupOptions } from "./consumerOptions.ts";
import { consumerReporter } from "./consumerReporter.ts";
import { type GroupTuning, groupTuning } from "./consumerTuning.ts";
import type { DeadLetterCause } from "./deadLetterFields.ts";
import { decodeEntry, fieldsOf } from "./decodeEntry.ts";
import type { Delivery } from "./delivery.ts";
import { groupSettler } from "./groupSettler.ts";
import { type Holding, heldDeliveries } from "./held.ts";
import { type Arrived, reading } from "./reading.ts";
import { settling } from "./settling.ts";

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
 * - **Memory** up to `window` deliveries; it reads when half of them are settled.
 * - **Retries** a lost connection is made again, for ever; what Redis delivered meanwhile is found again.
 * - **Misuse** throws `ConfigurationInvalid` at once, with all that is wrong with the options.
 * - **Errors** a {@link SinkError} that says what to do; `EntryNotDecodable` without `deadLetters`, after
 *   what was read before it is settled.
 * - **Completion** never by itself; once `until` emits it reads no more, waits until everything is settled,
 *   closes the connections and completes.
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
  if (options.maxDeliveries !== undefined && tuning.deadLetters === undefined) {
    throw sinkError(
      "ConfigurationInvalid",
      `groupDeliveries: maxDeliveries: found ${options.maxDeliveries}, expected deadLetters as well: where should they go after that?`,
    );
  }
  return defer(() => consume(options, tuning));
}

/** One subscription. */
function consume<E>(options: GroupOptions<E>, tuning: GroupTuning): Observable<Delivery<E>> {
  const { stream: streams, group, start, blockMs, claimIdleMs, maxDeliveries, deadLetters } = tuning;
  const consumer = tuning.consumer ?? `${hostname()}:${process.pid}`;
  const { metrics, codec, until = NEVER } = options;
  const { report, reached, failed, closed } = consumerReporter(options);
  const decode = decodeEntry(codec);
  const stop$ = new ReplaySubject<void>(1);
  const done$ = new Subject<void>();
  let failure: SinkError | undefined;

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
  const held = heldDeliveries(tuning.window, Math.min(tuning.count, Math.ceil(tuning.window / 2)));
  const settlements = settling(connection, retryBackoff(retryTold));
  const settler = groupSettler<E>({
    tuning,
    consumer,
    held,
    settlements,
    processed: (stream, ids) => connection.processed(stream, ids).pipe(retryBackoff(retryTold)),
    stop$,
    report,
    metrics,
  });
  const room = () => Math.min(tuning.count, held.room());
  const { read$, recover } = reading({ connection, streams, blockMs, claimIdleMs, room, report });

  /** Makes deliveries of what came; what cannot be one is set aside. */
  function receive({ entries, deliveries: counts }: Arrived): readonly Delivery<E>[] {
    reached();
    const received: Delivery<E>[] = [];
    const deleted = new Map<string, string[]>();
    for (const { stream, entryId, fields: pairs } of entries) {
      // What was delivered before may be at work here; what is new is not.
      if (failure !== undefined || (counts !== undefined && held.get(stream, entryId) !== undefined))
        continue;
      if (pairs === null) {
        settler.dismiss(stream, entryId);
        deleted.set(stream, [...(deleted.get(stream) ?? []), entryId]);
        continue;
      }
      const deliveries = counts?.get(entryId) ?? 1;
      const fields = fieldsOf(pairs);
      const decoded = decode(fields);
      if (isLeft(decoded)) {
        setAside({ stream, entryId, deliveries, fields }, "EntryNotDecodable", decoded.left);
      } else if (deadLetters !== undefined && deliveries > maxDeliveries) {
        const reason = `delivered ${deliveries} times: its consumers died or hung`;
        setAside({ stream, entryId, deliveries, fields }, "DeliveredTooOften", reason);
      } else {
        const delivery = {
          stream,
          entryId,
          fields,
          event: decoded.right,
          deliveries,
          mark: undefined,
          settler,
        };
        held.add(delivery);
        received.push(delivery);
      }
    }
    for (const [stream, entryIds] of deleted) report({ state: "deleted", stream, entryIds });
    if (received.length > 0) metrics?.delivered(received.length);
    return received;
  }

  function setAside(
    entry: Holding & Pick<Delivery<E>, "fields">,
    cause: DeadLetterCause,
    reason: string,
  ): void {
    if (deadLetters === undefined) {
      const { stream, entryId } = entry;
      fail(
        sinkError(
          "EntryNotDecodable",
          `${stream}: entry ${entryId} cannot be decoded: ${reason}: set deadLetters, or mend the codec`,
        ),
      );
      return;
    }
    held.add(entry);
    settler.setAside(entry, cause, reason, deadLetters.stream, (refusal) => {
      if (refusal === undefined) return;
      held.remove(entry);
      fail(refusal);
    });
  }

  /** Ends, once what came before is settled. */
  function fail(error: unknown): void {
    failure ??= isSinkError(error) ? error : sinkError("Refused", String(error), error);
    stop$.next();
  }

  const opening$ = forkJoin(streams.map((stream) => connection.create(stream, start))).pipe(
    retryBackoff(retryTold),
    tap((were) => {
      for (const [index, stream] of streams.entries())
        report({ state: "opened", stream, isNew: were[index] === false });
    }),
    ignoreElements(),
    takeUntil(stop$),
  );

  const reading$ = read$.pipe(
    map(receive),
    retryBackoff({
      ...retry,
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
    report({ state: "draining", deliveries: held.all().length });
    return held.count$.pipe(first((count) => count === 0));
  }).pipe(ignoreElements());

  const stopping$ = merge(
    until.pipe(
      defaultIfEmpty(undefined),
      take(1),
      tap(() => stop$.next()),
    ),
    stop$.pipe(
      first(),
      concatMap(() => timer(0, interruptEveryMs)),
      tap(connection.interrupt),
    ),
  ).pipe(ignoreElements());

  const background$ = merge(
    settlements.run$,
    interval(claimIdleMs / 3).pipe(tap(settler.keepAlive), ignoreElements()),
    stopping$,
    metrics === undefined ? EMPTY : held.count$.pipe(tap(metrics.held), ignoreElements()),
    connection.failure$,
  );

  return merge(
    background$.pipe(takeUntil(done$)),
    concat(
      opening$,
      reading$,
      drained$,
      defer(() => {
        done$.next();
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
      settler.unsubscribe();
      connection.unsubscribe();
    }),
  );
}
