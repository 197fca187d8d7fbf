import { forkJoin, map, type Observable, of } from "rxjs";
import type { Delivery, Mark, Settler } from "./delivery.ts";

/** A delivery whose key is known. */
export interface Marked<E> {
  readonly delivery: Delivery<E>;
  readonly settler: Settler;
  readonly mark: Mark;
}

/** One of them, and whether its group has processed its event before. */
export interface Checked<E> {
  readonly marked: Marked<E>;
  readonly isProcessed: boolean;
}

/** Asks which of them are processed already, once for each stream. */
export function checked<E>(all: readonly Marked<E>[]): Observable<readonly Checked<E>[]> {
  const streams = new Set(all.map(({ settler }) => settler.stream));
  const parts = [...streams].map((name) => {
    const own = all.filter(({ settler }) => settler.stream === name);
    const answer = own[0]?.settler.processed(own.map(({ mark }) => mark.id));
    return (answer ?? of([])).pipe(
      map((processed) => own.map((marked, index) => ({ marked, isProcessed: processed[index] === true }))),
    );
  });
  return forkJoin(parts).pipe(map((all) => all.flat()));
}
