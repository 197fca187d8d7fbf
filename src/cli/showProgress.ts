import {
  asyncScheduler,
  finalize,
  ignoreElements,
  type MonoTypeOperatorFunction,
  type Observable,
  sampleTime,
  tap,
  throttleTime,
} from "rxjs";
import { log } from "./log.ts";
import { clearBar, drawBar, hasTerminal } from "./output.ts";
import type { Progress } from "./progress.ts";
import { progressText } from "./progressText.ts";

/** How often the bar is drawn. */
const drawMs = 100;
/** How often a line is written where there is no terminal, and after how long the first one. */
const lineMs = 5000;

/** Draws a bar on a terminal, writes lines elsewhere, for as long as it is subscribed to. Never emits. */
export function showProgress(progress$: Observable<Progress | undefined>): Observable<never> {
  return (hasTerminal ? progress$.pipe(asBar()) : progress$.pipe(asLines())).pipe(ignoreElements());
}

function asBar(): MonoTypeOperatorFunction<Progress | undefined> {
  return (progress$) =>
    progress$.pipe(
      throttleTime(drawMs, asyncScheduler, { leading: true, trailing: true }),
      tap((progress) => (progress === undefined ? clearBar() : drawBar(progress))),
      finalize(clearBar),
    );
}

/** A line now and then while something goes on; none of what is done before the first one is due. */
function asLines(): MonoTypeOperatorFunction<Progress | undefined> {
  return (progress$) => {
    let said = 0;
    return progress$.pipe(
      sampleTime(lineMs),
      tap((progress) => {
        if (progress !== undefined && progress.events !== said) log(progressText(progress));
        said = progress?.events ?? 0;
      }),
    );
  };
}
