import { from, Observable, type ObservableInput, type OperatorFunction, Subscription } from "rxjs";
import { kindOf } from "../errors/thrown.ts";
import type { Effect, Outcome } from "../redis/group/settlement.ts";
import type { Delivery } from "./delivery.ts";
import { Effects } from "./effects.ts";
import { handlingTuning } from "./groupOptions.ts";
import { keyOf } from "./keyOf.ts";

/** What a handler gives: nothing, a value or effects, at once or later; of several values the last counts. */
export type Handled<R> = ObservableInput<R | Effects> | Effects | undefined;

const noEffects: readonly Effect[] = [];

/** How {@link acknowledge} runs the handler. */
export interface AcknowledgeOptions<E> {
  /** Most handlers that run at a time, >= 1, or infinity. Default 1. */
  readonly concurrency?: number;
  /**
   * Deliveries with the same key are handled one after the other, in stream order, within this consumer. Asked once
   * for each delivery, before its handler; if it throws or gives no text, the delivery fails. Default: no order.
   */
  readonly orderBy?: (event: E) => string;
}

/** A delivery that was handled, and that Redis knows to be. */
export interface Acknowledged<E, R> {
  readonly delivery: Delivery<E>;
  /** The handler's last value; undefined if it gave none, or effects. */
  readonly result: R | undefined;
}

/** A delivery on its way through. */
interface Task<E> {
  /** As it came, or as it came again after a failure. */
  delivery: Delivery<E>;
  /** Those of its key, known from when it was taken on: the handler may change its event. */
  line: Line<E> | undefined;
}

/** One key: one delivery that is worked on, and those that wait for it. */
interface Line<E> {
  readonly key: string;
  readonly waiting: Task<E>[];
  /** One of them is left to whoever comes next, and so are those after it. */
  isGivenBack: boolean;
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
 * - **Errors** of the handler and of `orderBy`, and whatever a handler gives that is no result, reject the delivery;
 *   those of the source pass through.
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
export function acknowledge<E, R = unknown>(
  handler: (event: E, delivery: Delivery<E>) => Handled<R>,
  options: AcknowledgeOptions<E> = {},
): OperatorFunction<Delivery<E>, Acknowledged<E, R>> {
  const { concurrency } = handlingTuning(options, handler);
  const { orderBy } = options;
  return (source) =>
    new Observable((subscriber) => {
      const ready: Task<E>[] = [];
      const lines = new Map<string, Line<E>>();
      const handlers = new Subscription();
      let running = 0;
      let unsettled = 0;
      let isPumping = false;
      let sourceDone = false;

      /** Takes one on; or again, where its key could not be told before. */
      function take(task: Task<E>): void {
        if (orderBy === undefined) {
          enqueue(task);
          return;
        }
        let key: string;
        try {
          key = keyOf("orderBy", orderBy(task.delivery.event));
        } catch (reason) {
          reject(task, reason);
          return;
        }
        const line = lines.get(key);
        if (line === undefined) {
          task.line = { key, waiting: [], isGivenBack: false };
          lines.set(key, task.line);
          enqueue(task);
        } else if (line.isGivenBack) {
          giveBack(task);
        } else {
          task.line = line;
          line.waiting.push(task);
        }
      }

      function enqueue(task: Task<E>): void {
        ready.push(task);
        pump();
      }

      /** A loop, as handlers may end at once. */
      function pump(): void {
        if (isPumping) return;
        isPumping = true;
        while (running < concurrency && !subscriber.closed) {
          const task = ready.shift();
          if (task === undefined) break;
          running += 1;
          if (task.delivery.settler.mayStart(task.delivery)) run(task);
          else start(task);
        }
        isPumping = false;
        if (sourceDone && unsettled === 0) subscriber.complete();
      }

      function start(task: Task<E>): void {
        const { delivery } = task;
        delivery.settler.start(delivery, (started, loss) => {
          task.delivery = started;
          if (loss === undefined) {
            if (!subscriber.closed) run(task);
            return;
          }
          running -= 1;
          settled(task, loss);
        });
      }

      function run(task: Task<E>): void {
        const { delivery } = task;
        let output: Handled<R>;
        let output$: Observable<R | Effects> | undefined;
        try {
          output = handler(delivery.event, delivery);
          if (output !== undefined && !(output instanceof Effects)) output$ = valuesOf(output);
        } catch (reason) {
          failed(task, reason);
          return;
        }
        if (output$ !== undefined) wait(task, output$);
        else succeeded(task, output instanceof Effects ? output : undefined);
      }

      function wait(task: Task<E>, output$: Observable<R | Effects>): void {
        let last: R | Effects | undefined;
        const handling = new Subscription();
        handlers.add(handling);
        handling.add(
          output$.subscribe({
            next: (value) => {
              last = value;
            },
            error: (reason) => {
              handlers.remove(handling);
              failed(task, reason);
            },
            complete: () => {
              handlers.remove(handling);
              succeeded(task, last);
            },
          }),
        );
      }

      function succeeded(task: Task<E>, output: R | Effects | undefined): void {
        running -= 1;
        const { delivery } = task;
        const isEffects = output instanceof Effects;
        delivery.settler.acknowledge(delivery, isEffects ? output.commands : noEffects, (outcome) => {
          if (outcome instanceof Error) {
            reject(task, outcome);
            return;
          }
          if (outcome === "acknowledged")
            subscriber.next({ delivery, result: isEffects ? undefined : output });
          settled(task, outcome);
        });
        pump();
      }

      function failed(task: Task<E>, reason: unknown): void {
        running -= 1;
        reject(task, reason);
        pump();
      }

      function reject(task: Task<E>, reason: unknown): void {
        const { delivery } = task;
        delivery.settler.reject(delivery, reason, (outcome) => {
          if (typeof outcome === "string" || outcome instanceof Error) {
            settled(task, outcome);
            return;
          }
          task.delivery = outcome.again;
          if (task.line === undefined) take(task);
          else enqueue(task);
        });
      }

      /** What comes after one that is left to others must not be handled before it. */
      function giveBack(task: Task<E>): void {
        const { delivery } = task;
        delivery.settler.giveBack(delivery, (outcome) => settled(task, outcome));
      }

      /** The next one of its key may go, or goes back with it. */
      function settled({ line }: Task<E>, outcome: Outcome): void {
        unsettled -= 1;
        if (line !== undefined) {
          if (outcome === "kept") line.isGivenBack = true;
          if (line.isGivenBack) {
            for (const next of line.waiting.splice(0)) giveBack(next);
          } else {
            const next = line.waiting.shift();
            if (next === undefined) lines.delete(line.key);
            else ready.push(next);
          }
        }
        pump();
      }

      subscriber.add(handlers);
      subscriber.add(
        source.subscribe({
          next: (delivery) => {
            unsettled += 1;
            take({ delivery, line: undefined });
          },
          error: (error) => subscriber.error(error),
          complete: () => {
            sourceDone = true;
            pump();
          },
        }),
      );
    });
}

/** The values that a handler gives; throws if they are none. */
function valuesOf<A>(output: ObservableInput<A>): Observable<A> {
  try {
    return from(output);
  } catch {
    const found = output === null ? "null" : kindOf(output);
    throw new TypeError(`the handler gave ${found}, expected nothing, effects, a Promise or an Observable`);
  }
}
