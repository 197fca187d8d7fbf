import {
  asyncScheduler,
  finalize,
  ignoreElements,
  type MonoTypeOperatorFunction,
  type Observable,
  tap,
  throttleTime,
} from "rxjs";
import { clearBar, drawBar, hasTerminal } from "../terminal/bar.ts";
import { log } from "../terminal/log.ts";
import type { Progress } from "./progress.ts";
import { progressLines } from "./progressLines.ts";

/** How often the bar is drawn. */
const drawMs = 100;

/** Draws a bar on a terminal, writes lines elsewhere, in which a share is one `of` something; while it is subscribed to. Never emits. */
export function showProgress(progress$: Observable<Progress | undefined>, of?: string): Observable<never> {
  const shown$: Observable<unknown> = hasTerminal
    ? progress$.pipe(asBar())
    : progress$.pipe(progressLines(of), tap(log));
  return shown$.pipe(ignoreElements());
}

function asBar(): MonoTypeOperatorFunction<Progress | undefined> {
  return (progress$) =>
    progress$.pipe(
      throttleTime(drawMs, asyncScheduler, { leading: true, trailing: true }),
      tap((progress) => (progress === undefined ? clearBar() : drawBar(progress))),
      finalize(clearBar),
    );
}
