import type { Registry } from "prom-client";
import { refuseUnknown } from "../options/decodeOptions.ts";
import type { SnapshotProgress } from "../telemetry/snapshotProgress.ts";
import { familiesIn } from "./familiesIn.ts";
import { type MetricsRegistry, registryOf } from "./metricsRegistry.ts";

/** Which series the metrics of tables that are read are, and where they are kept. */
export interface SnapshotMetricsOptions {
  /** The label `pipeline`. */
  readonly pipeline: string;
  /** Where the metrics are registered. Default: a new one. */
  readonly registry?: MetricsRegistry;
}

/** Shows how far tables are read. */
export interface SnapshotMetrics {
  readonly next: (progress: SnapshotProgress) => void;
  readonly registry: Registry;
}

const names = { pipeline: true, registry: true } as const;

/**
 * Makes the metrics of the tables whose rows a PostgreSQL source reads, to pass as its `progress`; docs/metrics.md lists them.
 *
 * @example
 * ```ts
 * const source = postgresChanges({ connectionString, snapshot: "initial", progress: snapshotMetrics({ pipeline: "shop", registry }) });
 * ```
 */
export function snapshotMetrics(options: SnapshotMetricsOptions): SnapshotMetrics {
  refuseUnknown("snapshotMetrics", options, names);
  const { pipeline } = options;
  const registry = registryOf(options.registry);
  const { counter, gauge } = familiesIn(registry);
  const ofTable = ["pipeline", "table"] as const;
  const told = counter("rxadd_snapshot_rows_total", "Rows of the table that were read", ofTable);
  const refused = counter("rxadd_snapshot_refused_total", "Times that the table could not be read", ofTable);
  const estimate = gauge("rxadd_snapshot_estimated_rows", "Rows that the table has, as estimated", ofTable);
  /** Of those that are being read. */
  const readBefore = new Map<string, number>();

  return {
    registry,
    next: ({ table, rows, estimated, state }) => {
      const labels = { pipeline, table };
      const before = readBefore.get(table) ?? 0;
      // Each piece has rows, but the last one: where there are no more than before, another connection has begun to count anew.
      const isNew = rows < before || (rows === before && state === "reading");
      told.inc(labels, isNew ? rows : rows - before);
      refused.inc(labels, state === "refused" ? 1 : 0);
      if (estimated === undefined) estimate.remove(labels);
      else estimate.set(labels, estimated);
      if (state === "reading") readBefore.set(table, rows);
      else readBefore.delete(table);
    },
  };
}
