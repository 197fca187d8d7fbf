import { UsageError } from "../terminal/exitCode.ts";

/** `pg` is the user's to install: only this source needs it. */
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
    throw new UsageError("a postgres source needs a package: npm install pg", { cause: error });
  }
}

/** Whether it is the package that is not there, and not a fault of its. */
function isMissing(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    error.code === "ERR_MODULE_NOT_FOUND" &&
    /package 'pg'/.test(error.message)
  );
}
