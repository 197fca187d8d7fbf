import { defer, EMPTY, finalize, map, merge, Observable, Subject, takeUntil, tap, timer } from "rxjs";
import type { Checkpoint } from "../../event/checkpoint.ts";
import type { SnapshotProgress } from "../../telemetry/snapshotProgress.ts";
import type { Watchable } from "../../telemetry/watchable.ts";
import type { Log } from "../terminal/log.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { type Advance, type CaughtUp, catchingUp } from "./catchingUp.ts";
import { progress, type Reading } from "./progress.ts";
import { durationText } from "./progressText.ts";
import { showProgress } from "./showProgress.ts";
import { showTables } from "./showTables.ts";

/** How much of an input has been read, and how much there is. */
export type Extent = Pick<Reading, "done" | "total">;

/** What is read from its beginning to its end. */
export interface Extended {
  /** How lines call it. */
  readonly name: string;
  /** How much of it has been read; undefined: it has no end, as when somebody types it. */
  readonly extent: (() => Extent) | undefined;
}

/** How often an input is looked at. */
const everyMs = 250;

/**
 * Does a work and shows how far it is: through an input, if there is one to the end of which it goes; else only while it
 * catches up with its source, and while tables are read.
 */
export function withProgress<C extends Checkpoint<unknown>>(
  terminal: Pick<Terminal, "bar" | "log">,
  sinks: readonly (Watchable & { readonly required: boolean })[],
  work$: Observable<C>,
  input?: Extended,
  tables$: Observable<SnapshotProgress> = EMPTY,
): Observable<C> {
  return defer(() => {
    const done = new Subject<void>();
    const advances = new Subject<Advance>();
    const eventTimes = new Map<string, number | undefined>();
    let events = 0;

    const working$ = work$.pipe(
      tap((checkpoint) => {
        events += checkpoint.events;
        advances.next({ atMs: Date.now(), events: checkpoint.events, eventMs: earliest(eventTimes) });
      }),
      finalize(() => done.next()),
    );
    const extent = input?.extent;
    const readings$: Observable<Reading | undefined> =
      extent === undefined
        ? merge(watched$(sinks, eventTimes), advances.pipe(catchingUp({ next: caughtUpLog(terminal.log) })))
        : timer(0, everyMs).pipe(map(() => ({ atMs: Date.now(), events, ...extent() })));
    return merge(
      showProgress(terminal, readings$.pipe(progress(), takeUntil(done)), input?.name),
      showTables(terminal, tables$.pipe(takeUntil(done))),
      working$,
    );
  });
}

function caughtUpLog(log: Log): (caughtUp: CaughtUp) => void {
  return ({ events, seconds, isLevel }) => {
    const work = `${events.toLocaleString("en")} events in ${durationText(seconds)}`;
    log(isLevel ? `caught up with the source: ${work}` : `catching up: ${work}, and nothing more since`);
  };
}

/** Keeps when what is safe happened in the source, for each sink that gates. Never emits. */
function watched$(
  sinks: readonly (Watchable & { readonly required: boolean })[],
  eventTimes: Map<string, number | undefined>,
): Observable<never> {
  return new Observable((subscriber) => {
    for (const { id, watch } of sinks.filter(({ required }) => required)) {
      subscriber.add(watch({ checkpoint: (_, eventMs) => eventTimes.set(id, eventMs) }));
    }
  });
}

function earliest(eventTimes: ReadonlyMap<string, number | undefined>): number | undefined {
  const known = [...eventTimes.values()].filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
