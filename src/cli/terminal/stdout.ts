import { fromEvent, Observable, ReplaySubject } from "rxjs";
import { UsageError } from "./exitCode.ts";
import { printableLines } from "./printable.ts";

/** Why it takes no more: the reader has gone, or the disk is full. */
let broken: Error | undefined;
const broken$ = new ReplaySubject<Error>(1);

function breakOff(error: Error): void {
  if (broken !== undefined) return;
  broken = error;
  broken$.next(error);
}

// Listened to from the start, whatever is written: unheard, it would end the process with a stack trace.
process.stdout.on("error", breakOff);
// Nobody is left to be told.
process.stderr.on("error", () => {});

/** Emits once when stdout takes no more, also to who comes later. */
export const stdoutClosed$: Observable<unknown> = broken$.asObservable();

/** Emits when stdout has taken what made {@link writeOut} say `false`. */
export const stdoutDrained$: Observable<unknown> = fromEvent(process.stdout, "drain");

/** Whether stdout takes no more. */
export function isStdoutClosed(): boolean {
  return broken !== undefined;
}

/**
 * Writes results; `false` says that more should wait. To a pipe or a file they go byte for byte; at a terminal control
 * characters are escaped, as JSON has it.
 */
export function writeOut(text: string): boolean {
  return broken !== undefined || process.stdout.write(forTerminal(text));
}

/** Writes; completes when stdout has taken it, and fails when it cannot. */
export function taken(text: string): Observable<never> {
  return new Observable((subscriber) => {
    if (broken !== undefined) {
      subscriber.error(broken);
      return;
    }
    process.stdout.write(forTerminal(text), (error) => {
      if (error) {
        breakOff(error);
        subscriber.error(error);
      } else subscriber.complete();
    });
  });
}

function forTerminal(text: string): string {
  return process.stdout.isTTY ? printableLines(text) : text;
}

/** Waits until stdout has taken all. A reader that has gone has read what it wanted; anything else is an error. */
export async function flushed(): Promise<void> {
  await new Promise<void>((resolve) => {
    if (broken !== undefined) resolve();
    else
      process.stdout.write("", (error) => {
        if (error) breakOff(error);
        resolve();
      });
  });
  if (broken === undefined || ("code" in broken && broken.code === "EPIPE")) return;
  throw new UsageError(
    `standard output: found ${broken.message}, expected room for the results: what they tell of is done, some of them are lost`,
    { cause: broken },
  );
}
