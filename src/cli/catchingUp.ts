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

/** Level with the source, or behind it since an event of `fromMs`. */
type Standing =
  | { readonly isBehind: false; readonly hasCaughtUp: Reading | undefined }
  | { readonly isBehind: true; readonly fromMs: number; readonly reading: Reading };

/**
 * How far a pipeline that fell behind its source has caught up, in ms of the source's time; `undefined` when it is level with it.
 * `caughtUp` is told the last reading once it is.
 *
 * ```
 * lag        0--0-----60-40-20-1--0--      s
 * readings   u--u-----r--r--r--u--u--
 * ```
 */
export function catchingUp(
  caughtUp?: Pick<Observer<Reading>, "next">,
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
    return { isBehind: false, hasCaughtUp: standing.isBehind ? standing.reading : undefined };
  }
  const { fromMs, before } = standing.isBehind
    ? { fromMs: standing.fromMs, before: standing.reading.events }
    : { fromMs: eventMs, before: 0 };
  const reading = { atMs, events: before + events, done: eventMs - fromMs, total: atMs - fromMs };
  return { isBehind: true, fromMs, reading };
}
