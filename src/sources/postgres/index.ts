export { type OpenedSlot, type PostgresOptions, postgresChanges } from "./postgresChanges.ts";
export type { PostgresErrorTag } from "./postgresError.ts";
