import { from, Observable, type ObservableInput, type OperatorFunction, Subscription } from "rxjs";
import type { Effect } from "../redis/settlement.ts";
import type { Delivery, Loss } from "./delivery.ts";
import { Effects } from "./effects.ts";

/** What a handler gives: nothing, a value or effects, at once or later; of several values the last counts. */
export type Handled<R> = ObservableInput<R | Effects> | Effects | undefined;

const noEffects: readonly Effect[] = [];

/** How {@link acknowledge} runs the handler. */
export interface AcknowledgeOptions<E> {
  /** Most handlers that run at a time, >= 1. Default 1. */
  readonly concurrency?: number;
  /** Deliveries with the same key are handled one after the other, in stream order. Default: no order. */
  readonly orderBy?: (event: E) => string;
}

/** A delivery that was handled, and that Redis knows to be. */
export interface Acknowledged<E, R> {
  readonly delivery: Delivery<E>;
  /** The handler's last value; undefined if it gave none, or effects. */
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
 *   process dies before the acknowledgement. `effects` happen exactly once.
 * - **Order** with `orderBy` one that failed holds up those of its key; without, none.
 * - **Memory** waits with what the source has handed out and not seen settled: its `window`.
 * - **Errors** of the handler reject the delivery; those of the source pass through.
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
  { concurrency = 1, orderBy }: AcknowledgeOptions<E> = {},
): OperatorFunction<Delivery<E>, Acknowledged<E, R>> {
  return (source) =>
    new Observable((subscriber) => {
      // What may be handled now, and by key what has to wait for one before it.
      const ready: Delivery<E>[] = [];
      const behind = new Map<string, Delivery<E>[]>();
      const handlers = new Subscription();
      let running = 0;
      let unsettled = 0;
      let isPumping = false;
      let sourceDone = false;

      function take(delivery: Delivery<E>): void {
        unsettled += 1;
        const key = orderBy?.(delivery.event);
        const line = key === undefined ? undefined : behind.get(key);
        if (line !== undefined) {
          line.push(delivery);
          return;
        }
        if (key !== undefined) behind.set(key, []);
        ready.push(delivery);
        pump();
      }

      /** A loop, as handlers may end at once. */
      function pump(): void {
        if (isPumping) return;
        isPumping = true;
        while (running < concurrency && !subscriber.closed) {
          const next = ready.shift();
          if (next === undefined) break;
          running += 1;
          next.settler.start(next, begin);
        }
        isPumping = false;
        if (sourceDone && unsettled === 0) subscriber.complete();
      }

      function begin(delivery: Delivery<E>, loss: Loss | undefined): void {
        if (subscriber.closed) return;
        if (loss === undefined) {
          run(delivery);
          return;
        }
        running -= 1;
        settled(delivery);
      }

      function run(delivery: Delivery<E>): void {
        let output: Handled<R>;
        try {
          output = handler(delivery.event, delivery);
        } catch (reason) {
          failed(delivery, reason);
          return;
        }
        if (output === undefined || output instanceof Effects) succeeded(delivery, output);
        else wait(delivery, output);
      }

      function wait(delivery: Delivery<E>, output: ObservableInput<R | Effects>): void {
        let last: R | Effects | undefined;
        const handling = new Subscription();
        handlers.add(handling);
        handling.add(
          from(output).subscribe({
            next: (value) => {
              last = value;
            },
            error: (reason) => {
              handlers.remove(handling);
              failed(delivery, reason);
            },
            complete: () => {
              handlers.remove(handling);
              succeeded(delivery, last);
            },
          }),
        );
      }

      function succeeded(delivery: Delivery<E>, output: R | Effects | undefined): void {
        running -= 1;
        const isEffects = output instanceof Effects;
        delivery.settler.acknowledge(delivery, isEffects ? output.commands : noEffects, (outcome) => {
          if (outcome instanceof Error) {
            reject(delivery, outcome);
            return;
          }
          if (outcome === "acknowledged")
            subscriber.next({ delivery, result: isEffects ? undefined : output });
          settled(delivery);
        });
        pump();
      }

      function failed(delivery: Delivery<E>, reason: unknown): void {
        running -= 1;
        reject(delivery, reason);
        pump();
      }

      function reject(delivery: Delivery<E>, reason: unknown): void {
        delivery.settler.reject(delivery, reason, (outcome) => {
          if (typeof outcome === "string" || outcome instanceof Error) {
            settled(delivery);
            return;
          }
          ready.push(outcome.again);
          pump();
        });
      }

      /** The next one of its key may go. */
      function settled({ event }: Delivery<E>): void {
        unsettled -= 1;
        const key = orderBy?.(event);
        if (key !== undefined) {
          const next = behind.get(key)?.shift();
          if (next === undefined) behind.delete(key);
          else ready.push(next);
        }
        pump();
      }

      subscriber.add(handlers);
      subscriber.add(
        source.subscribe({
          next: take,
          error: (error) => subscriber.error(error),
          complete: () => {
            sourceDone = true;
            pump();
          },
        }),
      );
    });
}
