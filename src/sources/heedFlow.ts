import { type MonoTypeOperatorFunction, Observable, type Observer, takeWhile } from "rxjs";
import type { Flow } from "../../operators/flow.ts";

/**
 * Holds what comes while `flow` says pause: for sources that can stop reading, but get what they read in chunks.
 *
 * ```
 * source    -(abcd)------e-|
 * flow      --P---R--------      P at once after a
 * result    -a----(bcd)--e-|
 * reading   --P---R--------
 * ```
 *
 * - **Order** that of the source; `reading` is told to resume only once everything that was held is out.
 * - **Memory** what the source emits after `reading` was told to pause: the rest of a chunk.
 * - **Completion and errors** come after what is held.
 * - **Teardown** drops what is held.
 *
 * @param reading - told when to stop and when to go on reading
 */
export function heedFlow<T>(
  flow: Observable<Flow>,
  reading: Pick<Observer<Flow>, "next">,
): MonoTypeOperatorFunction<T> {
  return (source) =>
    new Observable((subscriber) => {
      let held: T[] = [];
      let isPaused = false;
      let isReleasing = false;
      let end: (() => void) | undefined;

      function release(): void {
        if (isReleasing) return;
        isReleasing = true;
        const values = held;
        let count = 0;
        for (const value of values) {
          if (isPaused || subscriber.closed) break;
          count += 1;
          subscriber.next(value);
        }
        held = values.slice(count);
        isReleasing = false;
        if (isPaused) return;
        reading.next("resume");
        end?.();
      }

      subscriber.add(
        flow.subscribe((signal) => {
          isPaused = signal === "pause";
          if (isPaused) reading.next("pause");
          else release();
        }),
      );
      subscriber.add(
        source.pipe(takeWhile(() => !subscriber.closed)).subscribe({
          next: (value) => {
            if (isPaused || isReleasing || held.length > 0) held.push(value);
            else subscriber.next(value);
          },
          error: (error) => finish(() => subscriber.error(error)),
          complete: () => finish(() => subscriber.complete()),
        }),
      );

      function finish(ending: () => void): void {
        if (held.length === 0) ending();
        else end = ending;
      }
    });
}
