import {
  asyncScheduler,
  Observable,
  type OperatorFunction,
  type SchedulerLike,
  type Subscription,
  tap,
} from "rxjs";
import { after } from "./after.ts";
import { checkNumbers } from "./checkNumber.ts";

/** When {@link acknowledgedWithin} gives up. */
export interface AcknowledgedWithinOptions {
  /** How long the answer to an item may take, in ms, 0 or more; Infinity: as long as it likes. */
  readonly dueMs: number;
  /** Makes the error with which the result then ends. */
  readonly late: () => unknown;
  /** Default `asyncScheduler`. */
  readonly scheduler?: SchedulerLike;
}

/**
 * Ends with an error when an item has waited too long for its answer: a bound on retries in time.
 *
 * ```
 * items      -a---b------
 * answers    ---a--------
 * result     ---a-----#      dueMs 4
 * ```
 *
 * `toAnswers` answers each item once, in order. A quiet source is no reason to end.
 *
 * - **Time** is what has passed since the item came: setting the clock neither ends the result nor keeps it.
 * - **Memory** a timer for each item that waits.
 * - **Errors** what `late` makes, or throws; those of the source and of `toAnswers` pass through. A `dueMs` that is
 *   no time throws a `RangeError` at once.
 * - **Teardown** unsubscribes the source and cancels the timers.
 *
 * @example
 * ```ts
 * batches$.pipe(acknowledgedWithin({ dueMs: 30_000, late: () => new Error("too slow") }, inFlight(send)));
 * ```
 */
export function acknowledgedWithin<T, A>(
  { dueMs, late, scheduler = asyncScheduler }: AcknowledgedWithinOptions,
  toAnswers: OperatorFunction<T, A>,
): OperatorFunction<T, A> {
  checkNumbers("acknowledgedWithin", { dueMs }, 0);
  return (source) =>
    new Observable((subscriber) => {
      // One each, so that no clock is asked, which may be set.
      const timers: Subscription[] = [];

      function giveUp(): void {
        let error: unknown;
        try {
          error = late();
        } catch (thrown) {
          error = thrown;
        }
        subscriber.error(error);
      }

      subscriber.add(() => {
        for (const timer of timers) timer.unsubscribe();
      });
      source
        .pipe(
          tap(() => timers.push(after(dueMs, scheduler, giveUp))),
          toAnswers,
          tap(() => timers.shift()?.unsubscribe()),
        )
        // The subscriber itself: a source that emits at once sees that nobody listens any more.
        .subscribe(subscriber);
    });
}
