import { defer, from, map, type Observable, type Observer, Subject, switchMap } from "rxjs";
import type { FailedAttempt } from "../../../operators/retryBackoff.ts";
import type { Config } from "../../config/config.ts";
import type { ChangeEvent, Row } from "../../event/changeEvent.ts";
import type { Lsn } from "../../event/lsn.ts";
import type { Skipped } from "../../pipeline/keepPositions.ts";
import { pipeSource, type Source } from "../../pipeline/source.ts";
import { replicateUntil } from "../../pipeline/until.ts";
import { redisSink } from "../../sink/redisSink.ts";
import type { OpenedSlot, SnapshotProgress } from "../../sources/postgres/index.ts";
import { outbox } from "../../sources/postgres/outbox.ts";
import { entryCopies, streamSource } from "../../sources/redis/streamSource.ts";
import type { SinkObserver } from "../../telemetry/sinkObserver.ts";
import { importPostgres } from "../configured/importPostgres.ts";
import type { Pipeline } from "../configured/runPipelines.ts";
import { oneSink } from "../configured/sinks.ts";
import { UsageError } from "../terminal/exitCode.ts";
import { consumerLog, type Log } from "../terminal/log.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { linesPipeline } from "./pipe.ts";

type Configured<Type> = Extract<Config["source"], { readonly type: Type }>;

function postgres(
  log: Log,
  { config: { dsn, outbox: columns, acceptHole, ...options } }: Configured<"postgres">,
  flags: ReplicateFlags,
  progress: Observer<SnapshotProgress>,
) {
  const opened = {
    next: ({ hole }: OpenedSlot) =>
      hole !== undefined &&
      log(
        `${options.snapshot === "initial" ? "reads every table anew," : "goes on"} without changes that are gone: ${hole}`,
      ),
  };
  const failed = {
    next: ({ delayMs, error }: FailedAttempt) =>
      log(`${error instanceof Error ? error.message : error}; trying again in ${Math.round(delayMs)} ms`),
  };
  return defer(() => from(importPostgres())).pipe(
    map(({ postgresChanges }): Source<ChangeEvent<Row, Lsn> | Skipped<Lsn>, Lsn> => {
      const changes = postgresChanges({
        ...{ ...options, connectionString: dsn, progress, opened, failed },
        acceptHole: acceptHole || flags.acceptHole === true,
      });
      return columns === undefined ? changes : pipeSource(changes, outbox(columns));
    }),
  );
}

/** What goes for one run of the command only. */
export interface ReplicateFlags {
  /** Go on although changes are gone. */
  readonly acceptHole?: boolean;
}

/** Publishes the changes of the source that a configuration names. */
export function sourcePipeline(
  terminal: Terminal,
  config: Config,
  observersOf: (sink: string) => readonly SinkObserver[],
  flags: ReplicateFlags,
  stop$: Observable<unknown>,
): Pipeline {
  const { pipeline, source, sinks, commit } = config;
  switch (source?.type) {
    case undefined:
      throw new UsageError(
        `source: found nothing, expected a source, such as { type: postgres, config: { dsn: … } }, in pipeline ${pipeline}`,
      );
    case "ndjson":
      return linesPipeline(terminal, source.config.path, config, observersOf, stop$);
    case "postgres": {
      const made = sinks.map(({ config }) =>
        redisSink<ChangeEvent<Row, Lsn>, Lsn>({ ...config, observers: observersOf(config.id) }),
      );
      const tables$ = new Subject<SnapshotProgress>();
      const work$ = postgres(terminal.log, source, flags, tables$).pipe(
        switchMap((changes) => replicateUntil(stop$, { source: changes, sink: oneSink(made, commit) })),
      );
      return { sinks: made, work$, tables$ };
    }
    case "redis": {
      const made = sinks.map(({ config }) =>
        redisSink({ ...config, envelope: undefined, observers: observersOf(config.id), ...entryCopies }),
      );
      const copied = streamSource({ ...source.config, observers: consumerLog(terminal.log) });
      return {
        sinks: made,
        work$: replicateUntil(stop$, { source: copied, sink: oneSink(made, commit) }),
      };
    }
  }
}
