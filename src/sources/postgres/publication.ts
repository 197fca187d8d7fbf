import { type Client, DatabaseError, escapeIdentifier } from "pg";
import { postgresError } from "./postgresError.ts";

function quoted(table: string): string {
  return table.split(".").map(escapeIdentifier).join(".");
}

/** Whether a publication stands. */
export async function findPublication(client: Client, publication: string): Promise<boolean> {
  const known = await client.query("SELECT 1 FROM pg_publication WHERE pubname = $1", [publication]);
  return known.rowCount !== 0;
}

/** Which tables are to be published, and how. */
export interface Published {
  /** As `schema.table`; undefined: all tables, or what a publication that stands holds. */
  readonly tables: readonly string[] | undefined;
  /** Whether changes of partitions are those of the partitioned table; undefined: as PostgreSQL has it, or a publication that stands. */
  readonly viaPartitionRoot: boolean | undefined;
}

/** Makes a publication if it is missing, and checks that one that stands is as asked for. */
export async function preparePublication(
  client: Client,
  publication: string,
  { tables, viaPartitionRoot }: Published,
): Promise<void> {
  const target = tables && `TABLE ${tables.map(quoted).join(", ")}`;
  const wanted = target === undefined ? "FOR ALL TABLES" : tables?.length === 0 ? "" : `FOR ${target}`;
  const how = viaPartitionRoot === undefined ? "" : `WITH (publish_via_partition_root = ${viaPartitionRoot})`;
  const known = await client.query(
    `SELECT puballtables, pubviaroot, array(
       SELECT nspname || '.' || relname FROM pg_publication_rel
       JOIN pg_class ON pg_class.oid = prrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
       WHERE prpubid = pg_publication.oid)::text[] AS tables
     FROM pg_publication WHERE pubname = $1`,
    [publication],
  );
  if (known.rowCount === 0) {
    try {
      await client.query(`CREATE PUBLICATION ${escapeIdentifier(publication)} ${wanted} ${how}`);
      return;
    } catch (error) {
      if (!isThere(error)) throw error;
      return preparePublication(client, publication, { tables, viaPartitionRoot });
    }
  }
  const { puballtables, pubviaroot, tables: held } = known.rows[0];
  if (viaPartitionRoot !== undefined && viaPartitionRoot !== pubviaroot) {
    throw postgresError(
      "NotConfigured",
      `viaPartitionRoot: found publication ${publication} with ${pubviaroot}, expected ${viaPartitionRoot}: ALTER PUBLICATION ${escapeIdentifier(publication)} SET (publish_via_partition_root = ${viaPartitionRoot})`,
    );
  }
  if (tables === undefined) return;
  const found = puballtables ? ["all tables"] : (held as string[]).sort();
  if (found.join() === [...new Set(tables)].sort().join()) return;
  // Somebody else may rely on it: the user decides.
  const remedy = puballtables
    ? "leave out the tables, or choose another publication"
    : `ALTER PUBLICATION ${escapeIdentifier(publication)} SET ${target}`;
  throw postgresError(
    "NotConfigured",
    `tables: found publication ${publication} of ${found.join(", ") || "no table"}, expected ${tables.join(", ")}: ${remedy}`,
  );
}

/** Whether another pipeline, which began at the same time, has made it meanwhile. */
function isThere(error: unknown): boolean {
  return error instanceof DatabaseError && (error.code === "42710" || error.code === "23505");
}
