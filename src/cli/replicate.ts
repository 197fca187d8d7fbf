import { defer, from, type Observable, switchMap } from "rxjs";
import type { FailedAttempt } from "../../operators/retryBackoff.ts";
import type { Checkpoint } from "../checkpoint.ts";
import type { Config } from "../config/config.ts";
import { redisSink } from "../redisSink.ts";
import { replicate } from "../replicate.ts";
import { UsageError } from "./exitCode.ts";
import { log } from "./log.ts";
import { monitoring } from "./monitoring.ts";
import { until } from "./until.ts";

/** `pg` and `pg-logical-replication` are the user's to install: only this source needs them. */
async function importPostgres() {
  try {
    return await import("../sources/postgres/index.ts");
  } catch (error) {
    throw new UsageError("a postgres source needs two packages: npm install pg pg-logical-replication", {
      cause: error,
    });
  }
}

/** Publishes the changes of the source that a configuration names. */
export function replicateSource(
  { pipeline, source, sinks }: Config,
  metricsPort: number,
  stop$: Observable<unknown>,
): Observable<Checkpoint<unknown>> {
  if (source === undefined) {
    throw new UsageError(
      "source: found nothing, expected a source, such as { type: postgres, config: { dsn: … } }",
    );
  }
  const [{ config }] = sinks;
  const { status, metrics, whileServing } = monitoring(pipeline, config.id, metricsPort);
  const { dsn, slot, publication, tables } = source.config;
  const failed = {
    next: ({ delayMs, error }: FailedAttempt) =>
      log(`${error instanceof Error ? error.message : error}; trying again in ${Math.round(delayMs)} ms`),
  };
  return whileServing(
    defer(() => from(importPostgres())).pipe(
      switchMap(({ postgresChanges }) =>
        replicate({
          source: until(
            postgresChanges({ connectionString: dsn, slot, publication, ...(tables && { tables }), failed }),
            stop$,
          ),
          sink: redisSink({ ...config, status, metrics }),
        }),
      ),
    ),
  );
}
