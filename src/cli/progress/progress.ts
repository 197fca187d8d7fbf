import { defer, map, type OperatorFunction } from "rxjs";
import { type EventRate, eventRate } from "../../telemetry/eventRate.ts";

/** How far a work is at one moment. */
export interface Reading {
  /** In ms since 1970. */
  readonly atMs: number;
  /** Safe since it began. */
  readonly events: number;
  /** How much of it is done, in bytes, ms or whatever it is measured in. */
  readonly done: number;
  /** How much there is, which may grow; undefined: nobody knows. */
  readonly total: number | undefined;
}

/** What is told of it. */
export interface Progress {
  readonly events: number;
  readonly eventsPerSecond: number;
  /** From 0 to 1; undefined: nobody knows how much there is. */
  readonly share: number | undefined;
  /** At the pace of the last seconds; undefined: it does not come nearer, or nobody knows. */
  readonly secondsLeft: number | undefined;
}

/** The pace is that of the last so many ms. */
const paceMs = 5000;

/**
 * Makes progress out of readings; `undefined` ends one work, and what follows is another one.
 *
 * ```
 * readings   0%--25%--50%------u--0%--
 * progress   ?---6s---4s-------u--?---
 * ```
 */
export function progress(): OperatorFunction<Reading | undefined, Progress | undefined> {
  return (readings$) =>
    defer(() => {
      let pace = newPace();
      return readings$.pipe(
        map((reading) => {
          if (reading !== undefined) return progressAt(reading, pace);
          pace = newPace();
          return undefined;
        }),
      );
    });
}

interface Pace {
  readonly events: EventRate;
  /** How fast what is left becomes less. */
  readonly nearing: EventRate;
}

function newPace(): Pace {
  return { events: eventRate(paceMs), nearing: eventRate(paceMs) };
}

function progressAt({ atMs, events, done, total }: Reading, pace: Pace): Progress {
  const eventsPerSecond = pace.events.at(atMs, events);
  if (total === undefined) return { events, eventsPerSecond, share: undefined, secondsLeft: undefined };
  const left = Math.max(0, total - done);
  const nearing = pace.nearing.at(atMs, -left);
  return {
    events,
    eventsPerSecond,
    share: total > 0 ? Math.min(1, done / total) : 1,
    secondsLeft: nearing > 0 ? left / nearing : undefined,
  };
}
