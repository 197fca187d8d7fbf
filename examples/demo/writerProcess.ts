import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { BehaviorSubject, Observable, repeat, scan, share, timer } from "rxjs";
import type { WriterMessage } from "./writer.ts";

/** How the writer is. */
export interface WriterState {
  readonly isRunning: boolean;
  /** How often it has been started. */
  readonly starts: number;
  readonly opened: boolean;
  readonly metricsUrl: string | undefined;
  readonly dashboardUrl: string | undefined;
  readonly doing: string;
  readonly checkpoint: string;
}

const down = { isRunning: false, opened: false, dashboardUrl: undefined, doing: "down" } as const;
const initial: WriterState = { ...down, starts: 0, metricsUrl: undefined, checkpoint: "none yet" };

type Happening = WriterMessage | { readonly kind: "started" | "ended" };

/** As long as it would take whatever looks after services. */
const restartMs = 1500;

/** The writer's process, which is started again when it has ended; until it is unsubscribed. */
export function writerProcess(env: Readonly<Record<string, string>>) {
  let child: ChildProcess | undefined;
  const once$ = new Observable<Happening>((subscriber) => {
    const started = fork(fileURLToPath(new URL("writer.ts", import.meta.url)), {
      execArgv: ["--import", "tsx"],
      env: { ...process.env, ...env },
    });
    child = started;
    subscriber.next({ kind: "started" });
    // What comes over this channel is what `writer.ts` sends.
    started.on("message", (message) => subscriber.next(message as WriterMessage));
    started.on("exit", () => {
      subscriber.next({ kind: "ended" });
      subscriber.complete();
    });
    return () => started.kill("SIGTERM");
  });

  return {
    state$: once$.pipe(
      repeat({ delay: () => timer(restartMs) }),
      scan(after, initial),
      share({ connector: () => new BehaviorSubject(initial) }),
    ),
    /** Resolves when it has ended. */
    kill: async () => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

function after(state: WriterState, happening: Happening): WriterState {
  switch (happening.kind) {
    case "started":
      return { ...state, isRunning: true, starts: state.starts + 1, doing: "starting" };
    case "ended":
      return { ...state, ...down };
    case "opened":
      return { ...state, opened: true };
    case "metrics":
      return { ...state, metricsUrl: happening.url };
    case "dashboard":
      return { ...state, dashboardUrl: happening.url };
    case "status":
      return {
        ...state,
        doing: happening.status.state.name,
        checkpoint: happening.status.checkpoint?.position ?? state.checkpoint,
      };
  }
}
