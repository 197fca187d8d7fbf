import { importWith } from "./importPackage.ts";

/** What a PostgreSQL source is made and looked at with. */
export function importPostgres() {
  return importWith("pg", "a postgres source needs", async () => {
    const [{ backfill, postgresChanges }, { inspectPostgres }, { holeOf }, { mends }] = await Promise.all([
      import("../../sources/postgres/index.ts"),
      import("../../sources/postgres/inspectPostgres.ts"),
      import("../../sources/postgres/checkAvailable.ts"),
      import("../../sources/postgres/postgresError.ts"),
    ]);
    return { backfill, postgresChanges, inspectPostgres, holeOf, mends };
  });
}
