import { type SchedulerLike, Subscription } from "rxjs";

/** The longest wait that a timer knows, in ms, some 25 days: it counts them in 31 bits, and takes more for 1. */
export const longestTimerMs = 2 ** 31 - 1;

/** Does the work once so many ms have passed, however many those are; Infinity is never, and takes no timer. */
export function after(ms: number, scheduler: SchedulerLike, work: () => void): Subscription {
  if (ms <= longestTimerMs) return scheduler.schedule(work, ms);
  const waiting = new Subscription();
  if (ms < Number.POSITIVE_INFINITY) {
    const rest = () => waiting.add(after(ms - longestTimerMs, scheduler, work));
    waiting.add(scheduler.schedule(rest, longestTimerMs));
  }
  return waiting;
}

/** Does a work after a time; runs once at a time. */
export class Timer {
  readonly #ms: number;
  readonly #scheduler: SchedulerLike;
  readonly #due: () => void;
  #running: Subscription | undefined;
  #isDue = false;

  constructor(ms: number, scheduler: SchedulerLike, work: () => void) {
    this.#ms = ms;
    this.#scheduler = scheduler;
    this.#due = () => {
      this.#running = undefined;
      this.#isDue = true;
      work();
    };
  }

  /** Whether its time is over, and it was not started again or stopped. */
  get isDue(): boolean {
    return this.#isDue;
  }

  /** Says whether it has: not while it runs. */
  start(): boolean {
    if (this.#running !== undefined) return false;
    this.#isDue = false;
    this.#running = after(this.#ms, this.#scheduler, this.#due);
    return true;
  }

  stop(): void {
    this.#running?.unsubscribe();
    this.#running = undefined;
    this.#isDue = false;
  }
}
