import { createHistogram } from "node:perf_hooks";

/** What a {@link slidingHistogram} holds. */
export interface Distribution {
  readonly p50: number;
  readonly p99: number;
  readonly mean: number;
  readonly max: number;
}

/** Values of the last `windowMs` to twice that, of any number, in little memory. */
export interface SlidingHistogram {
  /** A whole number; from 1 to 3.6e9; what is outside counts as the nearest. */
  readonly record: (value: number, nowMs: number) => void;
  /** Undefined: it is empty. */
  readonly now: (nowMs: number) => Distribution | undefined;
}

/** An hour in µs. */
const highest = 3_600_000_000;

/** Makes an empty one: two histograms with a precision of 0.1 %, of which the older one is dropped in turn. */
export function slidingHistogram(windowMs: number): SlidingHistogram {
  const make = () => createHistogram({ figures: 3, highest });
  const all = make();
  let newer = make();
  let older = make();
  let turnMs = Number.NEGATIVE_INFINITY;

  function turn(nowMs: number): void {
    if (nowMs - turnMs < windowMs) return;
    older = nowMs - turnMs < 2 * windowMs ? newer : make();
    newer = make();
    turnMs = nowMs;
  }

  return {
    record: (value, nowMs) => {
      turn(nowMs);
      newer.record(Math.min(Math.max(1, Math.round(value)), highest));
    },
    now: (nowMs) => {
      turn(nowMs);
      all.reset();
      all.add(older);
      all.add(newer);
      return all.count === 0
        ? undefined
        : { p50: all.percentile(50), p99: all.percentile(99), mean: all.mean, max: all.max };
    },
  };
}
