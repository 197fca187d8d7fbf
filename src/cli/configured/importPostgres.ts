import { UsageError } from "../terminal/exitCode.ts";

/** `pg` and `pg-logical-replication` are the user's to install: only this source needs them. */
export async function importPostgres() {
  try {
    const [{ postgresChanges }, { inspectPostgres }, { holeOf }] = await Promise.all([
      import("../../sources/postgres/index.ts"),
      import("../../sources/postgres/inspectPostgres.ts"),
      import("../../sources/postgres/checkAvailable.ts"),
    ]);
    return { postgresChanges, inspectPostgres, holeOf };
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new UsageError("a postgres source needs two packages: npm install pg pg-logical-replication", {
      cause: error,
    });
  }
}

/** Whether it is one of the two packages that is not there, and not a fault of theirs. */
function isMissing(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    error.code === "ERR_MODULE_NOT_FOUND" &&
    /package 'pg(-logical-replication)?'/.test(error.message)
  );
}
