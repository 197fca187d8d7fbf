import {
  asyncScheduler,
  groupBy,
  ignoreElements,
  map,
  mergeMap,
  type Observable,
  tap,
  throttleTime,
  withLatestFrom,
} from "rxjs";
import type { SnapshotProgress } from "../../telemetry/snapshotProgress.ts";
import { printable } from "../terminal/printable.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { progress, type Reading } from "./progress.ts";
import { asBar } from "./showProgress.ts";
import { tableText } from "./tableText.ts";

/** How often a line comes, and after how long the first one. */
const everyMs = 10_000;

/** Shows how far tables are read: in the bar on a terminal, elsewhere in a line every 10 s, none of what takes less. Never emits. */
export function showTables(
  { bar, log }: Pick<Terminal, "bar" | "log">,
  tables$: Observable<SnapshotProgress>,
): Observable<never> {
  return tables$.pipe(
    groupBy(({ table }) => table),
    mergeMap((table$): Observable<unknown> => {
      const progress$ = table$.pipe(map(readingOf), progress());
      if (bar.isPossible) return progress$.pipe(asBar(bar.of(printable(table$.key))));
      return progress$.pipe(
        withLatestFrom(table$),
        throttleTime(everyMs, asyncScheduler, { leading: false, trailing: true }),
        tap(([progress, table]) => progress !== undefined && log(tableText(table, progress))),
      );
    }),
    ignoreElements(),
  );
}

function readingOf({ state, rows, estimated }: SnapshotProgress): Reading | undefined {
  if (state !== "reading") return undefined;
  return { atMs: Date.now(), events: rows, done: rows, total: estimated };
}
