export type { SnapshotProgress } from "../../telemetry/snapshotProgress.ts";
export { type OutboxEvent, type OutboxOptions, outbox } from "./outbox.ts";
export { type OpenedSlot, type PostgresOptions, postgresChanges } from "./postgresChanges.ts";
export type { PostgresErrorTag } from "./postgresError.ts";
export type { SnapshotChoice } from "./prepare.ts";
export { type BackfillOptions, backfill } from "./snapshot/requestBackfill.ts";
