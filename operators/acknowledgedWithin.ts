import {
  asyncScheduler,
  Observable,
  type OperatorFunction,
  type SchedulerLike,
  type Subscription,
} from "rxjs";

/** When {@link acknowledgedWithin} gives up. */
export interface AcknowledgedWithinOptions {
  /** How long the answer to an item may take, in ms. */
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
 * @example
 * ```ts
 * batches$.pipe(acknowledgedWithin({ dueMs: 30_000, late: () => new Error("too slow") }, inFlight(send)));
 * ```
 */
export function acknowledgedWithin<T, A>(
  { dueMs, late, scheduler = asyncScheduler }: AcknowledgedWithinOptions,
  toAnswers: OperatorFunction<T, A>,
): OperatorFunction<T, A> {
  return (source) =>
    new Observable((subscriber) => {
      const arrivedMs: number[] = [];
      let timer: Subscription | undefined;

      function watchOldest(): void {
        timer?.unsubscribe();
        const [oldest] = arrivedMs;
        if (oldest === undefined) return;
        timer = scheduler.schedule(() => subscriber.error(late()), oldest + dueMs - scheduler.now());
        subscriber.add(timer);
      }

      const items$ = new Observable<T>((items) =>
        source.subscribe({
          next: (item) => {
            arrivedMs.push(scheduler.now());
            if (arrivedMs.length === 1) watchOldest();
            items.next(item);
          },
          error: (error) => items.error(error),
          complete: () => items.complete(),
        }),
      );
      subscriber.add(
        items$.pipe(toAnswers).subscribe({
          next: (answer) => {
            arrivedMs.shift();
            watchOldest();
            subscriber.next(answer);
          },
          error: (error) => subscriber.error(error),
          complete: () => subscriber.complete(),
        }),
      );
      subscriber.add(() => timer?.unsubscribe());
    });
}
