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
