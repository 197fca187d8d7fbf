import type { Observable, Subscriber } from "rxjs";
import { type Delivery, notHandedOut, type Settler, settlerOf } from "./delivery.ts";

/** Takes what a consumer hands out. */
interface Taker<E> {
  readonly add: (delivery: Delivery<E>, settler: Settler) => void;
  /** There will be no more. */
  readonly end: () => void;
}

/** Hands each delivery to what the operator `who` takes them with; what is none, and errors of the source, end the result. */
export function handOut<E>(
  who: string,
  source: Observable<Delivery<E>>,
  taker: Taker<E>,
  result: Subscriber<unknown>,
): void {
  result.add(
    source.subscribe({
      next: (delivery) => {
        const settler = settlerOf(delivery);
        if (settler === undefined) result.error(notHandedOut(who));
        else taker.add(delivery, settler);
      },
      error: (error) => result.error(error),
      complete: () => taker.end(),
    }),
  );
}
