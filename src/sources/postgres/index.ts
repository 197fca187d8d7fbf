export { type OpenedSlot, type PostgresOptions, postgresChanges } from "./postgresChanges.ts";
export { type PostgresErrorTag, PostgresSourceError } from "./postgresError.ts";
