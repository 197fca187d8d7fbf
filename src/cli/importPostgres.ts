import { UsageError } from "./exitCode.ts";

/** `pg` and `pg-logical-replication` are the user's to install: only this source needs them. */
export async function importPostgres() {
  try {
    const [{ postgresChanges }, { inspectPostgres }, { holeOf }] = await Promise.all([
      import("../sources/postgres/index.ts"),
      import("../sources/postgres/inspectPostgres.ts"),
      import("../sources/postgres/checkAvailable.ts"),
    ]);
    return { postgresChanges, inspectPostgres, holeOf };
  } catch (error) {
    throw new UsageError("a postgres source needs two packages: npm install pg pg-logical-replication", {
      cause: error,
    });
  }
}
