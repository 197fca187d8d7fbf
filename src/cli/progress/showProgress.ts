import {
  asyncScheduler,
  finalize,
  ignoreElements,
  type MonoTypeOperatorFunction,
  type Observable,
  tap,
  throttleTime,
} from "rxjs";
import type { Bar } from "../terminal/bar.ts";
import type { Terminal } from "../terminal/terminal.ts";
import type { Progress } from "./progress.ts";
import { progressLines } from "./progressLines.ts";

/** How often the bar is drawn. */
const drawMs = 100;

/** Draws a bar on a terminal, writes lines elsewhere, in which a share is one `of` something; while it is subscribed to. Never emits. */
export function showProgress(
  { bar, log }: Pick<Terminal, "bar" | "log">,
  progress$: Observable<Progress | undefined>,
  of?: string,
): Observable<never> {
  const shown$: Observable<unknown> = bar.isPossible
    ? progress$.pipe(asBar(bar))
    : progress$.pipe(progressLines(of), tap(log));
  return shown$.pipe(ignoreElements());
}

/** Draws it anew at most ten times a second, and takes it away in the end. */
export function asBar(bar: Bar): MonoTypeOperatorFunction<Progress | undefined> {
  return (progress$) =>
    progress$.pipe(
      throttleTime(drawMs, asyncScheduler, { leading: true, trailing: true }),
      tap((progress) => (progress === undefined ? bar.clear() : bar.draw(progress))),
      finalize(() => bar.clear()),
    );
}
