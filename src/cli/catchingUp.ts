import {
  asyncScheduler,
  concat,
  map,
  type Observer,
  type OperatorFunction,
  of,
  pipe,
  scan,
  switchMap,
  timer,
} from "rxjs";
import type { Reading } from "./progress.ts";

/** Events have become safe. */
export interface Advance {
  /** When, in ms since 1970. */
  readonly atMs: number;
  readonly events: number;
  /** When the last of them happened in the source; undefined: it does not say. */
  readonly eventMs: number | undefined;
}

/** Who is further behind than this catches up. */
const behindMs = 5000;
/** Who is no further behind than this has caught up. */
const levelMs = 2000;
/** After so long without an event it does not catch up, at least not now. */
const silenceMs = 3000;

/** What it took to be level with the source again. */
export interface CaughtUp {
  readonly events: number;
  readonly seconds: number;
}

/** Level with the source, or behind it since an event of `fromMs`. */
type Standing = { readonly isBehind: false; readonly hasCaughtUp: CaughtUp | undefined } | Behind;

interface Behind {
  readonly isBehind: true;
  /** When the event happened that it was at when it fell behind. */
  readonly fromMs: number;
  /** When that was noticed. */
  readonly sinceMs: number;
  readonly reading: Reading;
}

/**
 * How far a pipeline that fell behind its source has caught up, in ms of the source's time; `undefined` when it is level with it.
 * `caughtUp` is told
 * once it is.
 *
 * ```
 * lag        0--0-----60-40-20-1--0--      s
 * readings   u--u-----r--r--r--u--u--
 * ```
 */
export function catchingUp(
  caughtUp?: Pick<Observer<CaughtUp>, "next">,
): OperatorFunction<Advance, Reading | undefined> {
  return pipe(
    scan(standingAfter, { isBehind: false, hasCaughtUp: undefined } satisfies Standing as Standing),
    map((standing) => {
      if (standing.isBehind) return standing.reading;
      if (standing.hasCaughtUp !== undefined) caughtUp?.next(standing.hasCaughtUp);
      return undefined;
    }),
    switchMap((reading) =>
      reading === undefined
        ? of(undefined)
        : concat(of(reading), timer(silenceMs, asyncScheduler).pipe(map(() => undefined))),
    ),
  );
}

function standingAfter(standing: Standing, { atMs, events, eventMs }: Advance): Standing {
  const lagMs = eventMs === undefined ? 0 : atMs - eventMs;
  if (eventMs === undefined || lagMs <= (standing.isBehind ? levelMs : behindMs)) {
    return {
      isBehind: false,
      hasCaughtUp: standing.isBehind ? caughtUpAt(standing, atMs, events) : undefined,
    };
  }
  const goesOn = standing.isBehind && !(isSilent(standing, atMs) && eventMs > standing.reading.atMs);
  const { fromMs, sinceMs, before } = goesOn
    ? { ...standing, before: standing.reading.events }
    : { fromMs: eventMs, sinceMs: atMs, before: 0 };
  const reading = { atMs, events: before + events, done: eventMs - fromMs, total: atMs - fromMs };
  return { isBehind: true, fromMs, sinceMs, reading };
}

/** Who has been silent may have had nothing left to do: what happened in the source only afterwards is another matter. */
function isSilent({ reading }: Behind, atMs: number): boolean {
  return atMs - reading.atMs > silenceMs;
}

function caughtUpAt(behind: Behind, atMs: number, events: number): CaughtUp {
  const { sinceMs, reading } = behind;
  return isSilent(behind, atMs)
    ? { events: reading.events, seconds: (reading.atMs - sinceMs) / 1000 }
    : { events: reading.events + events, seconds: (atMs - sinceMs) / 1000 };
}
