import { defer, from, map, type Observable, switchMap } from "rxjs";
import type { FailedAttempt } from "../../../operators/retryBackoff.ts";
import type { Config } from "../../config/config.ts";
import type { ChangeEvent, Row } from "../../event/changeEvent.ts";
import type { Checkpoint } from "../../event/checkpoint.ts";
import type { Lsn } from "../../event/lsn.ts";
import { replicateUntil } from "../../pipeline/until.ts";
import { redisSink } from "../../sink/redisSink.ts";
import type { OpenedSlot } from "../../sources/postgres/index.ts";
import { entryCopies, streamSource } from "../../sources/redis/streamSource.ts";
import { importPostgres } from "../configured/importPostgres.ts";
import { type MonitoringOptions, monitoring } from "../configured/monitoring.ts";
import { idsOf, oneSink } from "../configured/sinks.ts";
import { UsageError } from "../terminal/exitCode.ts";
import { consumerLog, type Log } from "../terminal/log.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { pipeLines } from "./pipe.ts";

type Configured<Type> = Extract<Config["source"], { readonly type: Type }>;

function postgres(
  log: Log,
  { config: { dsn, slot, publication, tables, acceptHole } }: Configured<"postgres">,
  flags: ReplicateFlags,
) {
  const opened = {
    next: ({ hole }: OpenedSlot) =>
      hole !== undefined && log(`goes on without changes that are gone: ${hole}`),
  };
  const failed = {
    next: ({ delayMs, error }: FailedAttempt) =>
      log(`${error instanceof Error ? error.message : error}; trying again in ${Math.round(delayMs)} ms`),
  };
  return defer(() => from(importPostgres())).pipe(
    map(({ postgresChanges }) =>
      postgresChanges({
        ...{ connectionString: dsn, slot, publication, opened, failed },
        ...(tables && { tables }),
        acceptHole: acceptHole || flags.acceptHole === true,
      }),
    ),
  );
}

/** What goes for one run of the command only. */
export interface ReplicateFlags extends MonitoringOptions {
  /** Go on although changes are gone. */
  readonly acceptHole?: boolean;
}

/** Publishes the changes of the source that a configuration names. */
export function replicateSource(
  terminal: Terminal,
  config: Config,
  options: ReplicateFlags,
  stop$: Observable<unknown>,
): Observable<Checkpoint<unknown>> {
  const { pipeline, source, sinks, commit } = config;
  const { of, whileServing } = monitoring(terminal, pipeline, idsOf(sinks), options);
  switch (source?.type) {
    case undefined:
      throw new UsageError(
        "source: found nothing, expected a source, such as { type: postgres, config: { dsn: … } }",
      );
    case "ndjson":
      return pipeLines(terminal, source.config.path, config, options, stop$);
    case "postgres": {
      const made = sinks.map(({ config }) =>
        redisSink<ChangeEvent<Row, Lsn>, Lsn>({ ...config, ...of(config.id) }),
      );
      const replicating$ = postgres(terminal.log, source, options).pipe(
        switchMap((changes) => replicateUntil(stop$, { source: changes, sink: oneSink(made, commit) })),
      );
      return whileServing(made, replicating$);
    }
    case "redis": {
      const made = sinks.map(({ config }) => redisSink({ ...config, ...of(config.id), ...entryCopies }));
      const copied = streamSource({ ...source.config, observers: consumerLog(terminal.log) });
      return whileServing(made, replicateUntil(stop$, { source: copied, sink: oneSink(made, commit) }));
    }
  }
}
