/** Tells how fast a count grows. */
export interface EventRate {
  /** Counted so far at a time; gives the growth per second over the last `windowMs`. */
  readonly at: (nowMs: number, count: number) => number;
}

/** Makes one that has seen nothing. */
export function eventRate(windowMs: number): EventRate {
  const seen: { readonly atMs: number; readonly count: number }[] = [];
  return {
    at: (nowMs, count) => {
      seen.push({ atMs: nowMs, count });
      // The last one that is old enough stays, to count from.
      while (seen[1] !== undefined && nowMs - seen[1].atMs >= windowMs) seen.shift();
      const [first] = seen;
      return first === undefined || first.atMs === nowMs
        ? 0
        : ((count - first.count) * 1000) / (nowMs - first.atMs);
    },
  };
}
