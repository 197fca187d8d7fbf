import {
  asapScheduler,
  BehaviorSubject,
  catchError,
  concat,
  concatMap,
  defaultIfEmpty,
  defer,
  EMPTY,
  finalize,
  map,
  merge,
  mergeMap,
  Observable,
  type OperatorFunction,
  observeOn,
  of,
  Subject,
  type Subscriber,
  type Subscription,
  startWith,
  takeLast,
} from "rxjs";
import { batch } from "../../operators/batch.ts";
import type { Outcome } from "../redis/group/settlement.ts";
import type { Acknowledged } from "./acknowledge.ts";
import { type Delivery, handled, type Settler, type Verdict } from "./delivery.ts";
import { type BatchTuning, batchTuning } from "./groupOptions.ts";
import { handOut } from "./handedOut.ts";
import { comingOf, type ResultOf, verdictOf } from "./handlerOutput.ts";
import { Task, type TaskOwner } from "./task.ts";

/** How {@link acknowledgeBatch} gathers deliveries and runs the handler. */
export interface AcknowledgeBatchOptions {
  /** Most events of a batch, >= 1; more than the `window` of the source never come together. Default 500. */
  readonly maxEvents?: number;
  /** How long a batch waits for more, in ms from its first event. Default 0: it takes what has come by the time a handler is free. */
  readonly lingerMs?: number;
  /** Most handlers that run at a time, >= 1, or infinity. Default 1. */
  readonly concurrency?: number;
  /** Takes entries out of the stream once every group has them, as `acknowledge` does. Default false. */
  readonly remove?: boolean;
}

/**
 * Handles deliveries by many, such as the rows of one insert, and acknowledges them together.
 *
 * ```
 * deliveries     -abc----d---------|     maxEvents 500
 * handler          ([a,b,c])--#          fails: each of them is tried alone
 * handler(a)                  -|
 * handler(b)                   -#   -|   fails, is handled again after the backoff
 * handler(c)                    -|
 * handler([d])                    -|
 * acknowledged   --------------a-cd-b-|
 * ```
 *
 * - **Delivery** at least once, so the work of a batch should happen as a whole or not at all, and may happen again.
 * - **A batch that fails** counts for none of them: each is tried alone at once, in their order, and only one that
 *   fails alone has failed. What comes again is handled alone: after a failure, or after a consumer's death.
 * - **Decisions** `giveBack`, `retryIn` and `deadLetter` hold for each of the batch; `effects` belong to one entry, and fail.
 * - **Order** batches have the order in which the deliveries come, and follow each other with a `concurrency` of 1.
 *   What has failed comes later; where those of its key must wait for it, take `acknowledge` with `orderBy`.
 * - **Memory** waits with what the source has handed out and not seen settled: its `window`.
 * - **Misuse** throws `ConfigurationInvalid` at once, with all that is wrong with the options.
 * - **Errors** of the handler reject as said; those of the source pass through.
 * - **Completion** when the source has completed and everything is settled.
 * - **Teardown** unsubscribes the handlers; what they worked on stays pending.
 *
 * @example
 * ```ts
 * groupDeliveries<Order>({ uri, stream: "orders.events", group: "warehouse" })
 *   .pipe(acknowledgeBatch((orders) => db.insert("orders", orders), { maxEvents: 500, lingerMs: 50 }))
 *   .subscribe();
 * ```
 */
export function acknowledgeBatch<E, H = unknown>(
  handler: (events: readonly E[], deliveries: readonly Delivery<E>[]) => H,
  options: AcknowledgeBatchOptions = {},
): OperatorFunction<Delivery<E>, Acknowledged<E, ResultOf<H>>> {
  const tuning = batchTuning(options, handler);
  return (source) =>
    new Observable((subscriber) => {
      const batching = new Batching(handler, tuning, subscriber);
      subscriber.add(batching.handlers);
      handOut("acknowledgeBatch", source, batching, subscriber);
    });
}

type Handler<E> = (events: readonly E[], deliveries: readonly Delivery<E>[]) => unknown;

/** One subscription. */
class Batching<E, R> implements TaskOwner<Task<E, R>> {
  readonly removes: boolean;
  readonly handlers: Subscription;
  readonly #handler: Handler<E>;
  readonly #concurrency: number;
  readonly #subscriber: Subscriber<Acknowledged<E, R>>;
  readonly #new$ = new Subject<Task<E, R>>();
  readonly #again$ = new Subject<Task<E, R>>();
  readonly #isFree$ = new BehaviorSubject(true);
  #running = 0;
  // The source counts as one, until it completes.
  #unsettled = 1;

  constructor(handler: Handler<E>, tuning: BatchTuning, subscriber: Subscriber<Acknowledged<E, R>>) {
    const { maxEvents, lingerMs, concurrency, remove } = tuning;
    this.removes = remove;
    this.#handler = handler;
    this.#concurrency = concurrency;
    this.#subscriber = subscriber;
    // Later, as handlers may end at once: one batch would bring about the next one, deeper and deeper.
    const room = this.#isFree$.pipe(observeOn(asapScheduler), startWith(true));
    const batches$ = this.#new$.pipe(batch({ maxItems: maxEvents, lingerMs, room }));
    this.handlers = merge(batches$, this.#again$.pipe(map((task) => [task])))
      .pipe(mergeMap((tasks) => this.#inTurn(tasks), concurrency))
      .subscribe({ error: (error) => subscriber.error(error) });
  }

  add(delivery: Delivery<E>, settler: Settler): void {
    this.#unsettled += 1;
    const task = new Task<E, R>(delivery, settler, this);
    if (settler.deliveries === 1) this.#new$.next(task);
    else this.#again$.next(task);
  }

  /** There will be no more that are new. */
  end(): void {
    this.#new$.complete();
    this.#finish();
  }

  again(task: Task<E, R>): void {
    this.#again$.next(task);
  }

  settled({ verdict, delivery, result }: Task<E, R>, outcome: Outcome): void {
    if (verdict === "handled" && outcome === "acknowledged") this.#subscriber.next({ delivery, result });
    this.#finish();
  }

  #finish(): void {
    this.#unsettled -= 1;
    if (this.#unsettled === 0) this.#subscriber.complete();
  }

  /** Takes one of the places, as many as there may be handlers. */
  #inTurn(tasks: readonly Task<E, R>[]): Observable<never> {
    return defer(() => {
      this.#runs(1);
      return this.#handle(tasks).pipe(finalize(() => this.#runs(-1)));
    });
  }

  #runs(change: number): void {
    this.#running += change;
    this.#isFree$.next(this.#running < this.#concurrency);
  }

  /** Those that may start go together; one that has to wait for Redis, or is lost by now, by itself. */
  #handle(tasks: readonly Task<E, R>[]): Observable<never> {
    return defer(() => {
      const ready: Task<E, R>[] = [];
      const others: Task<E, R>[] = [];
      for (const task of tasks) (task.settler.mayStart() ? ready : others).push(task);
      return concat(ready.length > 0 ? this.#run(ready) : EMPTY, ...others.map((task) => this.#start(task)));
    });
  }

  #start(task: Task<E, R>): Observable<never> {
    return new Observable((starting) => {
      task.settler.start((loss) => {
        if (loss === undefined) {
          if (!starting.closed) starting.add(this.#run([task]).subscribe(starting));
        } else {
          this.settled(task, loss);
          starting.complete();
        }
      });
    });
  }

  #run(tasks: readonly Task<E, R>[]): Observable<never> {
    return defer(() => {
      const output = this.#handler(
        tasks.map(({ event }) => event),
        tasks.map(({ delivery }) => delivery),
      );
      return comingOf(output) ?? of(output);
    }).pipe(
      takeLast(1),
      defaultIfEmpty(undefined),
      map((output) => ({ output, verdict: verdictOnEach(output) })),
      catchError(
        (reason): Observable<{ output: unknown; verdict: Verdict }> =>
          tasks.length > 1
            ? concat(...tasks.map((task) => this.#handle([task])))
            : of({ output: undefined, verdict: { kind: "failed", reason } }),
      ),
      concatMap(({ output, verdict }) => {
        for (const task of tasks) {
          // As the handler's type says.
          if (verdict === handled) task.result = output as R;
          task.settle(verdict);
        }
        return EMPTY;
      }),
    );
  }
}

/** What a handler's output says of each of them. */
function verdictOnEach(output: unknown): Verdict {
  const verdict = verdictOf(output);
  if (verdict.kind === "handled" && verdict.effects.length > 0)
    throw new TypeError(
      "acknowledgeBatch: found effects, expected none: they belong to one entry, as acknowledge handles them",
    );
  return verdict;
}
