import {
  asyncScheduler,
  Observable,
  type OperatorFunction,
  type SchedulerLike,
  type Subscriber,
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
export function heldBack<T, P, A>(
  options: HeldBackOptions<T, P>,
): OperatorFunction<Progress<T, A>, Safe<T, A>> {
  return (progress$) =>
    new Observable((subscriber) => new Holding<T, P, A>(options, subscriber).connect(progress$));
}

/** One subscription. */
class Holding<T, P, A> {
  readonly #options: HeldBackOptions<T, P>;
  readonly #subscriber: Subscriber<Safe<T, A>>;
  /** Not written down yet. */
  #waiting: Progress<T, A> | undefined;
  /** Not told to have left. */
  #kept: Progress<T, A> | undefined;
  #isWriting = false;
  #isEnd = false;
  #pause: Subscription | undefined;

  constructor(options: HeldBackOptions<T, P>, subscriber: Subscriber<Safe<T, A>>) {
    this.#options = options;
    this.#subscriber = subscriber;
  }

  connect(progress$: Observable<Progress<T, A>>): void {
    this.#subscriber.add(() => this.#pause?.unsubscribe());
    this.#subscriber.add(
      progress$.subscribe({
        next: (progress) => this.#arrived(progress),
        error: (error) => this.#subscriber.error(error),
        complete: () => {
          this.#isEnd = true;
          this.#goOn();
        },
      }),
    );
  }

  #arrived(progress: Progress<T, A>): void {
    this.#waiting = together(this.#waiting, progress);
    this.#kept = together(this.#kept, progress);
    // What was kept goes first: else it would leave after what came later.
    if (!this.#options.isFull()) this.#leave();
    this.#goOn();
  }

  #goOn(): void {
    if (this.#isWriting || this.#subscriber.closed) return;
    try {
      this.#step();
    } catch (error) {
      // Of a timer's or an observer's nobody would hear.
      this.#subscriber.error(error);
    }
  }

  #step(): void {
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      const { positionOf, beside } = this.#options;
      const position = positionOf(waiting.last);
      if (position === undefined) {
        this.#leave(waiting);
        this.#waiting = undefined;
      } else if (this.#isEnd ? beside(position) >= 0 : beside(position) > 0) {
        if (this.#isEnd || this.#pause === undefined) this.#writeDown(waiting, position);
        return;
      }
    }
    if (this.#isEnd) this.#subscriber.complete();
  }

  #writeDown(progress: Progress<T, A>, position: P): void {
    const { write, intervalMs, scheduler = asyncScheduler } = this.#options;
    this.#isWriting = true;
    this.#waiting = undefined;
    this.#pause?.unsubscribe();
    this.#pause = scheduler.schedule(() => {
      this.#pause = undefined;
      this.#goOn();
    }, intervalMs);
    this.#subscriber.add(
      write(position).subscribe({
        error: (error) => this.#subscriber.error(error),
        complete: () => {
          this.#isWriting = false;
          this.#leave(progress);
          this.#goOn();
        },
      }),
    );
  }

  #leave(reached?: Progress<T, A>): void {
    const left = this.#kept;
    this.#kept = undefined;
    this.#subscriber.next({ ...(reached && { reached }), ...(left && { left }) });
  }
}

function together<T, A>(before: Progress<T, A> | undefined, now: Progress<T, A>): Progress<T, A> {
  return before === undefined ? now : { ...now, items: before.items + now.items };
}
