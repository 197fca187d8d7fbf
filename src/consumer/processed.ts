import { forkJoin, map, type Observable, of } from "rxjs";
import type { Delivery, Mark } from "./delivery.ts";

/** A delivery whose key is known. */
export type Marked<E> = Delivery<E> & { readonly mark: Mark };

/** A delivery, and whether its group has processed its event before. */
export interface Checked<E> {
  readonly delivery: Marked<E>;
  readonly isProcessed: boolean;
}

/** Asks which of them are processed already, once for each stream. */
export function checked<E>(deliveries: readonly Marked<E>[]): Observable<readonly Checked<E>[]> {
  const streams = new Set(deliveries.map(({ stream }) => stream));
  const parts = [...streams].map((name) => {
    const own = deliveries.filter(({ stream }) => stream === name);
    const answer = own[0]?.settler.processed(
      name,
      own.map(({ mark }) => mark.id),
    );
    return (answer ?? of([])).pipe(
      map((processed) =>
        own.map((delivery, index) => ({ delivery, isProcessed: processed[index] === true })),
      ),
    );
  });
  return forkJoin(parts).pipe(map((all) => all.flat()));
}
