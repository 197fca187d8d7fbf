import { catchError, EMPTY, lastValueFrom, merge, type Observable, tap, using } from "rxjs";
import type { Config } from "../../config/config.ts";
import { messageOf } from "../../errors/thrown.ts";
import type { Checkpoint } from "../../event/checkpoint.ts";
import type { SinkObserver } from "../../telemetry/sinkObserver.ts";
import type { SnapshotProgress } from "../../telemetry/snapshotProgress.ts";
import type { Watchable } from "../../telemetry/watchable.ts";
import { type Extended, withProgress } from "../progress/withProgress.ts";
import { type ExitCode, exitCodeOf } from "../terminal/exitCode.ts";
import { newOutcome } from "../terminal/outcome.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { Monitoring, type MonitoringOptions } from "./monitoring.ts";

/** A pipeline that can run. */
export interface Pipeline {
  readonly sinks: readonly (Watchable & { readonly required: boolean })[];
  readonly work$: Observable<Checkpoint<unknown>>;
  /** What is read to its end, if it is that. */
  readonly input?: Extended;
  /** How far the tables are whose rows are read. */
  readonly tables$?: Observable<SnapshotProgress>;
}

/** Makes a pipeline, of which `observersOf` are told what the sink of an id does. */
export type MakePipeline = (
  terminal: Terminal,
  config: Config,
  observersOf: (sink: string) => readonly SinkObserver[],
) => Pipeline;

/** What is shown beside the log, and where. */
export interface RunOptions extends MonitoringOptions {
  /** Default true. */
  readonly progress?: boolean;
}

/**
 * Runs pipelines side by side until the last one has ended, and prints each checkpoint as one JSON line. One that fails among
 * several leaves the others alone; the exit code is that of the first that failed.
 */
export async function runPipelines(
  terminal: Terminal,
  configs: readonly Config[],
  options: RunOptions,
  make: MakePipeline,
): Promise<ExitCode> {
  const isOne = configs.length === 1;
  const monitoring = new Monitoring(terminal.log, options);
  const running = configs.map((config) => {
    const name = config.pipeline;
    const own = isOne ? terminal : ofPipeline(terminal, name);
    return { name, ...prepare(own, config, isOne, monitoring, options, make) };
  });

  let code: ExitCode = 0;
  const failed: string[] = [];
  const all$ = running.map(({ name, run$, log }) =>
    run$.pipe(
      catchError((error: unknown) => {
        if (isOne) throw error;
        log(`failed: ${messageOf(error)}`);
        failed.push(name);
        code ||= exitCodeOf(error);
        return EMPTY;
      }),
    ),
  );
  const shown = running.flatMap(({ name: pipeline, sinks }) =>
    sinks.map((sink) => ({ pipeline, sink, name: isOne ? sink.id : `${pipeline}/${sink.id}` })),
  );
  await lastValueFrom(monitoring.whileServing(shown, merge(...all$)), { defaultValue: undefined });
  if (failed.length > 0)
    terminal.log(`${failed.length} of ${configs.length} pipelines failed: ${failed.join(", ")}`);
  return code;
}

/** A terminal on which it can be told who speaks. */
function ofPipeline(terminal: Terminal, name: string): Terminal {
  return { ...terminal, log: (text) => terminal.log(`${name}: ${text}`), bar: terminal.bar.of(name) };
}

function prepare(
  terminal: Terminal,
  config: Config,
  isOne: boolean,
  monitoring: Monitoring,
  { progress = true }: RunOptions,
  make: MakePipeline,
) {
  const { log, bar, out } = terminal;
  const { pipeline } = config;
  const monitored = monitoring.add(pipeline, log, config.sinks.length > 1);
  const outcome = newOutcome();
  const {
    sinks,
    work$,
    input,
    tables$ = EMPTY,
  } = make(terminal, config, (sink) => [...monitored.of(sink), outcome.of(sink)]);

  let position: unknown;
  const shown$ = progress ? withProgress(terminal, sinks, work$, input, tables$) : work$;
  const run$ = using(
    () => tables$.subscribe(monitored.read),
    () => shown$,
  ).pipe(
    tap({
      next: (checkpoint) => {
        bar.writeResult(JSON.stringify(isOne ? checkpoint : { pipeline, ...checkpoint }));
        position = checkpoint.position;
      },
      error: monitored.ended,
      complete: () => {
        monitored.ended();
        const done = outcome.text();
        const end = out.isClosed ? "stopped, as standard output takes no more" : "done";
        log(done === undefined ? `${end}, no events` : `${end}: ${done}, up to position ${position}`);
      },
    }),
  );
  return { sinks, run$, log };
}
