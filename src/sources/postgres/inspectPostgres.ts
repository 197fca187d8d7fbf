import { Client } from "pg";
import { defer, from, type Observable } from "rxjs";
import { postgresErrorOf } from "./postgresError.ts";

/** What PostgreSQL says before anything is read. */
export interface PostgresInspection {
  readonly version: string;
  /** Has to be `logical`. */
  readonly walLevel: string;
  /** Whether the user may replicate. */
  readonly mayReplicate: boolean;
  /** How far the slot was confirmed; undefined: it is made at the first run. */
  readonly slotAt: string | undefined;
  /** The server has given up what the slot had yet to send. */
  readonly isSlotLost: boolean;
  readonly hasPublication: boolean;
  /** Whether the user may make the publication. */
  readonly mayPublish: boolean;
}

/** Looks at a database for a source, and makes nothing there. */
export function inspectPostgres(
  connectionString: string,
  slot: string,
  publication: string,
  tables?: readonly string[],
): Observable<PostgresInspection> {
  return defer(() => from(look(connectionString, slot, publication, tables)));
}

async function look(
  connectionString: string,
  slot: string,
  publication: string,
  tables: readonly string[] | undefined,
): Promise<PostgresInspection> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 10_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    const { rows } = await client.query(
      `SELECT current_setting('server_version') AS version, current_setting('wal_level') AS wal_level,
         (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user) AS may_replicate,
         (SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1) AS slot_at,
         (SELECT wal_status = 'lost' FROM pg_replication_slots WHERE slot_name = $1) AS is_slot_lost,
         EXISTS (SELECT 1 FROM pg_publication WHERE pubname = $2) AS has_publication,
         (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
           OR (has_database_privilege(current_database(), 'CREATE') AND (SELECT coalesce(bool_and(coalesce(pg_has_role(relowner, 'USAGE'), false)), $3::text[] IS NOT NULL)
             FROM unnest($3::text[]) AS name LEFT JOIN pg_class ON pg_class.oid =
               to_regclass(quote_ident(split_part(name, '.', 1)) || '.' || quote_ident(split_part(name, '.', 2))))) AS may_publish`,
      [slot, publication, tables ?? null],
    );
    const [row] = rows;
    return {
      version: String(row.version),
      walLevel: String(row.wal_level),
      mayReplicate: row.may_replicate === true,
      slotAt: row.slot_at === null ? undefined : String(row.slot_at),
      isSlotLost: row.is_slot_lost === true,
      hasPublication: row.has_publication === true,
      mayPublish: row.may_publish === true,
    };
  } catch (error) {
    throw postgresErrorOf(error, connectionString);
  } finally {
    await client.end().catch(() => {});
  }
}
