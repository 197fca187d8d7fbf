import { getOrElse } from "fp-ts/lib/Option.js";
import { Observable } from "rxjs";
import type { Source } from "../../src/index.ts";

export interface Numbered {
  readonly n: number;
  readonly position: number;
}

/** A source under test: what it has emitted so far is known. */
export interface PacedNumbers {
  readonly source: Source<Numbered, number>;
  /** The highest number emitted. */
  readonly last: () => number;
}

/**
 * Emits 1, 2, 3, … at a steady pace, 100 every 5 ms, until `stop$` emits. It can be opened again
 * anywhere, and heeds flow.
 */
export function pacedNumbers(stop$: Observable<unknown>): PacedNumbers {
  let last = 0;
  return {
    source: (from, flow) =>
      new Observable((subscriber) => {
        let n = getOrElse(() => 0)(from);
        let isPaused = false;
        const timer = setInterval(() => {
          for (let count = 0; count < 100 && !isPaused; count += 1) {
            n += 1;
            last = Math.max(last, n);
            subscriber.next({ n, position: n });
          }
        }, 5);
        subscriber.add(() => clearInterval(timer));
        subscriber.add(flow.subscribe((signal) => (isPaused = signal === "pause")));
        subscriber.add(stop$.subscribe(() => subscriber.complete()));
      }),
    last: () => last,
  };
}
