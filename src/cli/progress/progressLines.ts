import {
  connect,
  distinctUntilChanged,
  distinctUntilKeyChanged,
  EMPTY,
  filter,
  map,
  type OperatorFunction,
  sampleTime,
  startWith,
  switchMap,
} from "rxjs";
import type { Progress } from "./progress.ts";
import { progressText } from "./progressText.ts";

/** How often a line comes, and after how long the first one. */
const everyMs = 5000;

/**
 * Puts progress into a line every 5 s, while events become safe; none for what takes less. `undefined` ends one work, and the
 * next one has its own 5 s. `of` names what a share is a share of.
 *
 * ```
 * progress   a----b----u-c--u-
 * lines      -----B-----------     one letter is one second
 * ```
 */
export function progressLines(of?: string): OperatorFunction<Progress | undefined, string> {
  return connect((progress$) =>
    progress$.pipe(
      distinctUntilChanged((before, now) => (before === undefined) === (now === undefined)),
      switchMap((first) =>
        first === undefined ? EMPTY : progress$.pipe(startWith(first), linesOfOneWork(of)),
      ),
    ),
  );
}

function linesOfOneWork(of: string | undefined): OperatorFunction<Progress | undefined, string> {
  return (progress$) =>
    progress$.pipe(
      sampleTime(everyMs),
      filter((progress) => progress !== undefined),
      filter(({ events }) => events > 0),
      distinctUntilKeyChanged("events"),
      map((progress) => progressText(progress, of)),
    );
}
