import type { Client } from "pg";

/** Tables whose rows are to be read, before any is. */
export interface TablesInspection {
  /** How many there are. */
  readonly count: number;
  /** What keeps their rows from being read. */
  readonly problems: readonly string[];
}

/** Those of a publication; of one that does not stand yet, those that it is going to hold. */
const published = `
  SELECT nspname || '.' || relname AS name, pg_is_in_recovery() AS is_standby,
    has_schema_privilege(relnamespace, 'USAGE') AND has_table_privilege(pg_class.oid, 'SELECT') AS may_read,
    row_security_active(pg_class.oid) AS is_hidden
  FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
  WHERE CASE
    WHEN EXISTS (SELECT 1 FROM pg_publication WHERE pubname = $1)
      THEN EXISTS (SELECT 1 FROM pg_publication_tables WHERE pubname = $1 AND schemaname = nspname AND tablename = relname)
    WHEN $2::text[] IS NULL
      THEN relkind = 'r' AND relpersistence = 'p' AND nspname <> 'information_schema' AND nspname !~ '^pg_'
    ELSE nspname || '.' || relname = ANY ($2) END
  ORDER BY name`;

interface Found {
  readonly name: string;
  readonly is_standby: boolean;
  readonly may_read: boolean;
  readonly is_hidden: boolean;
}

/** Looks at the tables of a publication, and reads none of them. */
export async function inspectTables(
  client: Client,
  publication: string,
  tables: readonly string[] | undefined,
): Promise<TablesInspection> {
  const { rows } = await client.query<Found>(published, [publication, tables ?? null]);
  const standby = rows.some((row) => row.is_standby)
    ? ["a standby, where no watermark can be written: read its primary"]
    : [];
  return { count: rows.length, problems: [...standby, ...rows.flatMap(problemsOf)] };
}

function problemsOf({ name, may_read, is_hidden }: Found): readonly string[] {
  return [
    ...(may_read ? [] : ["not granted to the user: GRANT SELECT ON it, and USAGE ON its schema"]),
    ...(is_hidden ? ["row security hides rows from the user: ALTER ROLE … BYPASSRLS"] : []),
  ].map((problem) => `${name}: ${problem}`);
}
