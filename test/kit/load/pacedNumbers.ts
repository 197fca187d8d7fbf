import { Observable } from "rxjs";
import type { Source } from "../../../src/index.ts";

export interface Numbered {
  readonly n: number;
  readonly position: number;
  readonly note: string;
}

/** Brings an event to some 220 bytes. */
const note = "x".repeat(180);

/** A source under test: what it has emitted so far is known. */
export interface PacedNumbers {
  readonly source: Source<Numbered, number>;
  /** The highest number emitted. */
  readonly last: () => number;
  /** Lets the source complete after the highest number so far, wherever it is opened. */
  readonly stop: () => void;
}

/**
 * Emits 1, 2, 3, … at a steady pace, `perTick` every 5 ms, until it is stopped. It can be opened again
 * anywhere, and heeds flow.
 */
export function pacedNumbers(perTick = 100): PacedNumbers {
  let last = 0;
  let isStopped = false;
  return {
    source: (from, flow) =>
      new Observable((subscriber) => {
        let n = from ?? 0;
        let isPaused = false;
        const timer = setInterval(() => {
          for (let count = 0; count < perTick && !isPaused && !(isStopped && n >= last); count += 1) {
            n += 1;
            last = Math.max(last, n);
            subscriber.next({ n, position: n, note });
          }
          if (isStopped && n >= last) subscriber.complete();
        }, 5);
        subscriber.add(() => clearInterval(timer));
        subscriber.add(
          flow.subscribe((signal) => {
            isPaused = signal === "pause";
          }),
        );
      }),
    last: () => last,
    stop: () => {
      isStopped = true;
    },
  };
}
