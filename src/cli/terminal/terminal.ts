import type { Observable } from "rxjs";
import { Bar } from "./bar.ts";
import type { Io } from "./io.ts";
import { type Log, logAbove } from "./log.ts";
import { Stdout } from "./stdout.ts";
import { stopSignal } from "./stopSignal.ts";

/** What a command talks to. */
export interface Terminal extends Pick<Io, "stdin" | "env"> {
  /** For results. */
  readonly out: Stdout;
  /** For people. */
  readonly log: Log;
  readonly bar: Bar;
  /** From the call on it emits, and says so, when the user wants the command to finish. */
  readonly stop: () => Observable<unknown>;
}

/** Talks to the streams of a process. */
export function terminalOf(io: Io): Terminal {
  const { stdin, env, stderr } = io;
  // Nobody is left to be told.
  stderr.on("error", () => {});
  const out = new Stdout(io.stdout);
  const bar = new Bar(stderr, out);
  // A second Ctrl-C ends the command at once, bar or not.
  io.once("exit", () => bar.clearAll());
  const log = logAbove(bar);
  return { stdin, env, out, bar, log, stop: () => stopSignal(io, log, out.closed$) };
}
