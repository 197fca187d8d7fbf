import { Observable } from "rxjs";
import { toAsyncIterable } from "../../operators/toAsyncIterable.ts";
import { acknowledge } from "./acknowledge.ts";
import type { Delivery } from "./delivery.ts";

/**
 * Deliveries for `for await`, one after the other: each is acknowledged when the loop comes back for the next one, which
 * comes once Redis knows that.
 *
 * - **Delivery** at least once: if the loop is left, by `break`, `return` or an error, what it worked on stays pending, as
 *   does what waits, and comes again to whoever claims it. Let the `until` of the source end it, to leave nothing behind.
 * - **Back-pressure** the source waits: it holds no more than its `window`.
 * - **Errors** of the source are thrown behind what came before. **Completion** with the source.
 *
 * @example
 * ```ts
 * for await (const { event } of eachDelivery(groupDeliveries<Order>({ uri, stream: "orders.events", group: "mailer" })))
 *   await mail(event);
 * ```
 */
export async function* eachDelivery<E>(
  deliveries$: Observable<Delivery<E>>,
): AsyncGenerator<Delivery<E>, void, undefined> {
  for await (const { delivery, done } of toAsyncIterable(handedOver(deliveries$))) {
    yield delivery;
    done();
  }
}

/** A delivery, and what says that it is handled. */
interface HandedOver<E> {
  readonly delivery: Delivery<E>;
  readonly done: () => void;
}

function handedOver<E>(deliveries$: Observable<Delivery<E>>): Observable<HandedOver<E>> {
  return new Observable((subscriber) => {
    const handler = (_event: E, delivery: Delivery<E>) =>
      new Observable<never>((handling) => {
        subscriber.next({ delivery, done: () => handling.complete() });
      });
    // One line: the next one waits for the acknowledgement, as whoever leaves then closes the connection.
    subscriber.add(
      deliveries$.pipe(acknowledge(handler, { orderBy: () => "all" })).subscribe({
        error: (error) => subscriber.error(error),
        complete: () => subscriber.complete(),
      }),
    );
  });
}
