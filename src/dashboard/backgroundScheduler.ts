import { type SchedulerAction, type SchedulerLike, Subscription } from "rxjs";

/** A piece of work, due after a delay and perhaps again. */
class Task<T> extends Subscription implements SchedulerAction<T> {
  readonly #work: (this: SchedulerAction<T>, state: T) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(work: (this: SchedulerAction<T>, state: T) => void) {
    super(() => clearTimeout(this.#timer));
    this.#work = work;
  }

  schedule(state?: T, delayMs = 0): Subscription {
    clearTimeout(this.#timer);
    // Work that wants a state is scheduled with one.
    if (!this.closed) this.#timer = setTimeout(() => this.#work(state as T), delayMs).unref();
    return this;
  }
}

/** The clock, with timers that do not keep a program running: whoever only watches must not. */
export const backgroundScheduler: SchedulerLike = {
  now: () => Date.now(),
  schedule: <T>(work: (this: SchedulerAction<T>, state: T) => void, delayMs?: number, state?: T) =>
    new Task(work).schedule(state, delayMs),
};
