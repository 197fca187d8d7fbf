import {
  asyncScheduler,
  concat,
  map,
  type Observable,
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
/** What ends in silence sooner than this was no work worth telling of. */
const shortSeconds = 1;

/** What catching up took. */
export interface CaughtUp {
  readonly events: number;
  readonly seconds: number;
  /** Level with the source again; else nothing more came, for which there may be many reasons. */
  readonly isLevel: boolean;
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
 * How far a pipeline that fell behind its source has caught up, in ms of the source's time; `undefined` when it is level with it,
 * or nothing more comes. `caughtUp` is told then.
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
    switchMap((standing) => {
      if (standing.isBehind) return concat(of(standing.reading), silenceAfter(standing, caughtUp));
      if (standing.hasCaughtUp !== undefined) caughtUp?.next(standing.hasCaughtUp);
      return of(undefined);
    }),
  );
}

function silenceAfter(
  { sinceMs, reading: { atMs, events } }: Behind,
  caughtUp?: Pick<Observer<CaughtUp>, "next">,
): Observable<undefined> {
  return timer(silenceMs, asyncScheduler).pipe(
    map(() => {
      const seconds = (atMs - sinceMs) / 1000;
      if (seconds >= shortSeconds) caughtUp?.next({ events, seconds, isLevel: false });
      return undefined;
    }),
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

/** Nothing new after a silence: what came before it has been told of. */
function caughtUpAt(behind: Behind, atMs: number, events: number): CaughtUp | undefined {
  if (isSilent(behind, atMs)) return undefined;
  const { sinceMs, reading } = behind;
  return { events: reading.events + events, seconds: (atMs - sinceMs) / 1000, isLevel: true };
}
