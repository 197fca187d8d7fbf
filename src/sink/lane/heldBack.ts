import {
  asyncScheduler,
  Observable,
  type OperatorFunction,
  type SchedulerLike,
  type Subscription,
} from "rxjs";
import type { Progress } from "../../../operators/checkpoint.ts";

/** What {@link heldBack} has to tell. */
export interface Safe<T, A> {
  /** These items need not be kept any longer. */
  readonly left?: Progress<T, A>;
  /** Up to here a checkpoint may say that all is safe. */
  readonly reached?: Progress<T, A>;
}

export interface HeldBackOptions<T, P> {
  /** Up to where all is safe with an item; undefined: it does not say. */
  readonly positionOf: (item: T) => P | undefined;
  /** Where a position lies beside what was told in an earlier run: before it (less than 0), there (0), or after it. */
  readonly beside: (position: P) => number;
  /** Writes a position down; completes when it stands. */
  readonly write: (position: P) => Observable<unknown>;
  /** Whether nothing may leave before something is written. */
  readonly isFull: () => boolean;
  /** How long at least from one writing to the next, in ms. */
  readonly intervalMs: number;
  /** Default `asyncScheduler`. */
  readonly scheduler?: SchedulerLike | undefined;
}

/**
 * Holds progress back until its position is written down; what comes meanwhile is written together.
 *
 * ```
 * progress   -a---bc------d|     intervalMs 6
 * left       -a---bc------d|
 * reached    --a-----c-----(d|)  writing takes 1 ms
 * ```
 *
 * - **Left** at once, unless too much has to be written.
 * - **Completion** writes what is left, then completes. An error comes out at once, as does what a callback throws.
 */
export function heldBack<T, P, A>({
  positionOf,
  beside,
  write,
  isFull,
  intervalMs,
  scheduler = asyncScheduler,
}: HeldBackOptions<T, P>): OperatorFunction<Progress<T, A>, Safe<T, A>> {
  return (progress$) =>
    new Observable((subscriber) => {
      let waiting: Progress<T, A> | undefined;
      let kept: Progress<T, A> | undefined;
      let isWriting = false;
      let isEnd = false;
      let pause: Subscription | undefined;

      function arrived(progress: Progress<T, A>): void {
        waiting = together(waiting, progress);
        kept = together(kept, progress);
        // What was kept goes first: else it would leave after what came later.
        if (!isFull()) leave();
        goOn();
      }

      function goOn(): void {
        if (isWriting || subscriber.closed) return;
        try {
          step();
        } catch (error) {
          // Of a timer's or an observer's nobody would hear.
          subscriber.error(error);
        }
      }

      function step(): void {
        if (waiting !== undefined) {
          const position = positionOf(waiting.last);
          if (position === undefined) {
            leave(waiting);
            waiting = undefined;
          } else if (isEnd ? beside(position) >= 0 : beside(position) > 0) {
            if (isEnd || pause === undefined) writeDown(waiting, position);
            return;
          }
        }
        if (isEnd) subscriber.complete();
      }

      function writeDown(progress: Progress<T, A>, position: P): void {
        isWriting = true;
        waiting = undefined;
        pause?.unsubscribe();
        pause = scheduler.schedule(() => {
          pause = undefined;
          goOn();
        }, intervalMs);
        subscriber.add(
          write(position).subscribe({
            error: (error) => subscriber.error(error),
            complete: () => {
              isWriting = false;
              leave(progress);
              goOn();
            },
          }),
        );
      }

      function leave(reached?: Progress<T, A>): void {
        const left = kept;
        kept = undefined;
        subscriber.next({ ...(reached && { reached }), ...(left && { left }) });
      }

      subscriber.add(() => pause?.unsubscribe());
      subscriber.add(
        progress$.subscribe({
          next: arrived,
          error: (error) => subscriber.error(error),
          complete: () => {
            isEnd = true;
            goOn();
          },
        }),
      );
    });
}

function together<T, A>(before: Progress<T, A> | undefined, now: Progress<T, A>): Progress<T, A> {
  return before === undefined ? now : { ...now, items: before.items + now.items };
}
