import { Observable, type OperatorFunction, type Subscriber, Subscription } from "rxjs";
import type { Outcome } from "../redis/group/settlement.ts";
import { type Delivery, handled, type Settler, type Verdict } from "./delivery.ts";
import { type HandlingTuning, handlingTuning } from "./groupOptions.ts";
import { handOut } from "./handedOut.ts";
import { comingOf, type ResultOf, verdictOf } from "./handlerOutput.ts";
import { keyOf } from "./keyOf.ts";
import { Lines } from "./lines.ts";
import { Task, type TaskOwner } from "./task.ts";

/** How {@link acknowledge} runs the handler. */
export interface AcknowledgeOptions<E> {
  /** Most handlers that run at a time, >= 1, or infinity. Default 1. */
  readonly concurrency?: number;
  /**
   * Deliveries with the same key are handled one after the other, in stream order, within this consumer. Asked once
   * for each delivery, before its handler; if it throws or gives no text, the delivery fails. Default: no order.
   */
  readonly orderBy?: (event: E) => string;
  /**
   * Takes an entry out of the stream, in the step that acknowledges it or makes it a dead letter, if every group has read
   * and acknowledged it by then: the last group to do so should have this as well. Default false.
   */
  readonly remove?: boolean;
}

/** A delivery that was handled, and that Redis knows to be. */
export interface Acknowledged<E, R> {
  readonly delivery: Delivery<E>;
  /** What the handler gave, its last value where it came later; undefined if it gave none, or effects. */
  readonly result: R | undefined;
}

/**
 * Handles deliveries, and acknowledges those that succeeded; the others are tried again after a backoff.
 *
 * ```
 * deliveries     -abc---------|    concurrency 2
 * handler(a)      --|
 * handler(b)       -#     -|       fails, is handled again after the backoff
 * handler(c)         -|
 * acknowledged   ----a-c----b-|
 * ```
 *
 * - **Delivery** at least once: a delivery whose handler ran may come again, to this consumer or to another one, if the
 *   process dies before the acknowledgement. `effects` happen exactly once. One that is lost meanwhile, as its entry
 *   was trimmed or another consumer has it, is told to `status`, and not emitted.
 * - **Order** with `orderBy` one that failed holds up those of its key, and one that is handed back while the source
 *   drains has them handed back as well; without, none. Two consumers of a group have no order between them.
 * - **Memory** waits with what the source has handed out and not seen settled: its `window`.
 * - **Misuse** throws `ConfigurationInvalid` at once, with all that is wrong with the options.
 * - **Results** a Promise, an Observable, an async iterable, a generator or a list is waited for; with anything else the
 *   handler is done. `effects`, `giveBack`, `retryIn` and `deadLetter` say what becomes of the delivery.
 * - **Errors** of the handler and of `orderBy` reject the delivery; those of the source pass through.
 * - **Completion** when the source has completed and everything is settled.
 * - **Teardown** unsubscribes the handlers; what they worked on stays pending.
 *
 * @example
 * ```ts
 * groupDeliveries<Order>({ uri, stream: "orders.events", group: "mailer" })
 *   .pipe(acknowledge((order) => sendMail(order), { concurrency: 10, orderBy: ({ id }) => id }))
 *   .subscribe();
 * ```
 */
export function acknowledge<E, H = unknown>(
  handler: (event: E, delivery: Delivery<E>) => H,
  options: AcknowledgeOptions<E> = {},
): OperatorFunction<Delivery<E>, Acknowledged<E, ResultOf<H>>> {
  const { concurrency, remove } = handlingTuning(options, handler);
  return (source) =>
    new Observable((subscriber) => {
      const handling = new Handling(handler, { ...options, concurrency, remove }, subscriber);
      subscriber.add(handling.handlers);
      handOut("acknowledge", source, handling, subscriber);
    });
}

type Handler<E> = (event: E, delivery: Delivery<E>) => unknown;
type Running<E> = AcknowledgeOptions<E> & Pick<HandlingTuning, "concurrency" | "remove">;

/** One subscription. */
class Handling<E, R> implements TaskOwner<Task<E, R>> {
  readonly removes: boolean;
  readonly handlers = new Subscription();
  readonly #handler: Handler<E>;
  readonly #options: Running<E>;
  readonly #subscriber: Subscriber<Acknowledged<E, R>>;
  readonly #ready: Task<E, R>[] = [];
  readonly #lines = new Lines<Task<E, R>>();
  #running = 0;
  #unsettled = 0;
  #isPumping = false;
  #sourceDone = false;

  constructor(handler: Handler<E>, options: Running<E>, subscriber: Subscriber<Acknowledged<E, R>>) {
    this.removes = options.remove;
    this.#handler = handler;
    this.#options = options;
    this.#subscriber = subscriber;
  }

  add(delivery: Delivery<E>, settler: Settler): void {
    this.#unsettled += 1;
    this.#take(new Task(delivery, settler, this));
  }

  /** There will be no more. */
  end(): void {
    this.#sourceDone = true;
    this.#pump();
  }

  again(task: Task<E, R>): void {
    if (task.key === undefined) this.#take(task);
    else this.#enqueue(task);
  }

  /** The next one of its key may go, or all of them go back with it. */
  settled(task: Task<E, R>, outcome: Outcome): void {
    const { key, verdict, delivery, result } = task;
    if (verdict === "handled" && outcome === "acknowledged") this.#subscriber.next({ delivery, result });
    this.#unsettled -= 1;
    // What was given back, but not because the source drains, holds up none that come later.
    if (key !== undefined && outcome === "kept" && verdict === "left") this.#leave(this.#lines.end(key));
    else if (key !== undefined) {
      if (outcome === "kept") this.#leave(this.#lines.leave(key));
      const next = this.#lines.next(key);
      if (next !== undefined) this.#ready.push(next);
    }
    this.#pump();
  }

  /** Takes one on; or again, where its key could not be told before. */
  #take(task: Task<E, R>): void {
    const { orderBy } = this.#options;
    if (orderBy === undefined) {
      this.#enqueue(task);
      return;
    }
    let key: string;
    try {
      key = keyOf("orderBy", orderBy(task.event));
    } catch (reason) {
      task.settle({ kind: "failed", reason });
      return;
    }
    const place = this.#lines.join(key, task);
    if (place === "left") {
      task.settle({ kind: "left" });
      return;
    }
    task.key = key;
    if (place === "goes") this.#enqueue(task);
  }

  #enqueue(task: Task<E, R>): void {
    this.#ready.push(task);
    this.#pump();
  }

  /** A loop, as handlers may end at once. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#running < this.#options.concurrency && !this.#subscriber.closed) {
      const task = this.#ready.shift();
      if (task === undefined) break;
      this.#running += 1;
      if (task.settler.mayStart()) this.#run(task);
      else this.#start(task);
    }
    this.#isPumping = false;
    if (this.#sourceDone && this.#unsettled === 0) this.#subscriber.complete();
  }

  #start(task: Task<E, R>): void {
    task.settler.start((loss) => {
      if (loss !== undefined) {
        this.#running -= 1;
        this.settled(task, loss);
      } else if (!this.#subscriber.closed) this.#run(task);
    });
  }

  #run(task: Task<E, R>): void {
    const { delivery, event } = task;
    let output: unknown;
    let output$: Observable<unknown> | undefined;
    try {
      output = this.#handler(event, delivery);
      output$ = comingOf(output);
    } catch (reason) {
      this.#ended(task, { kind: "failed", reason });
      return;
    }
    if (output$ === undefined) this.#succeeded(task, output);
    else this.#wait(task, output$);
  }

  #wait(task: Task<E, R>, output$: Observable<unknown>): void {
    let last: unknown;
    let isOver = false;
    const failed = (reason: unknown) => {
      if (isOver) return;
      isOver = true;
      this.#ended(task, { kind: "failed", reason });
    };
    try {
      this.handlers.add(
        output$.subscribe({
          next: (value) => {
            last = value;
          },
          error: failed,
          complete: () => {
            isOver = true;
            this.#succeeded(task, last);
          },
        }),
      );
    } catch (reason) {
      // Most likely by a teardown, behind its end.
      failed(reason);
    }
  }

  #succeeded(task: Task<E, R>, output: unknown): void {
    let verdict: Verdict;
    try {
      verdict = verdictOf(output);
    } catch (reason) {
      verdict = { kind: "failed", reason };
    }
    // As the handler's type says.
    if (verdict === handled) task.result = output as R;
    this.#ended(task, verdict);
  }

  #ended(task: Task<E, R>, verdict: Verdict): void {
    this.#running -= 1;
    task.settle(verdict);
    this.#pump();
  }

  /** They go back as well; their line has nothing to do with them any more. */
  #leave(tasks: readonly Task<E, R>[]): void {
    for (const task of tasks) {
      task.key = undefined;
      task.settle({ kind: "left" });
    }
  }
}
