import { Client } from "pg";
import { defer, from, type Observable } from "rxjs";
import type { PostgresOptions } from "./postgresChanges.ts";
import { postgresErrorOf } from "./postgresError.ts";
import { inspectTables, type TablesInspection } from "./snapshot/inspectTables.ts";

/** What a source is to read. */
export type Inspected = Required<
  Pick<PostgresOptions, "connectionString" | "slot" | "publication" | "snapshot">
> &
  Pick<PostgresOptions, "tables">;

/** What PostgreSQL says before anything is read. */
export interface PostgresInspection {
  readonly version: string;
  /** Has to be `logical`. */
  readonly walLevel: string;
  /** Whether the user may replicate. */
  readonly mayReplicate: boolean;
  /** How far the slot was confirmed; undefined: it is made at the first run. */
  readonly slotAt: string | undefined;
  /** What the server keeps for the slot; undefined: there is none. */
  readonly log: KeptLog | undefined;
  /** Whether the slot goes along to a standby; undefined: there is no slot, or no such thing before PostgreSQL 17. */
  readonly hasFailover: boolean | undefined;
  /** The slots of standbys that have a change before a slot that goes along sends it; empty: none. Undefined before PostgreSQL 17. */
  readonly standbySlots: string | undefined;
  readonly hasPublication: boolean;
  /** Whether the user may make the publication. */
  readonly mayPublish: boolean;
  /** How many tables are published, or would be. */
  readonly tables: number;
  /** Those of them whose updates and deletes PostgreSQL refuses, as they have no replica identity; a few. */
  readonly withoutIdentity: readonly string[];
  /** Undefined: no rows are to be read. */
  readonly rows: TablesInspection | undefined;
}

/** The log that a server keeps for a slot. */
export interface KeptLog {
  /** `reserved`; `extended`: beyond `max_wal_size`; `unreserved`: about to be removed; `lost`. */
  readonly status: string;
  /** How much, such as `12 MB`. */
  readonly size: string;
  /** How much more may be written before it is removed; undefined: it never is. */
  readonly left: string | undefined;
}

/** Tables of a publication; before there is one, those that it would have. */
const publishedTables = `SELECT pg_class.oid, relreplident FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE CASE
    WHEN EXISTS (SELECT 1 FROM pg_publication WHERE pubname = $2)
      THEN (nspname, relname) IN (SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = $2)
    WHEN $3::text[] IS NOT NULL THEN nspname || '.' || relname = ANY ($3::text[])
    ELSE relkind = 'r' AND relpersistence = 'p' AND pg_class.oid >= 16384 END`;

/** By its replica identity: whether an index identifies a table's rows. */
const isIdentified = `relreplident = 'f' OR EXISTS (SELECT 1 FROM pg_index
    WHERE indrelid = published.oid AND CASE relreplident WHEN 'd' THEN indisprimary WHEN 'i' THEN indisreplident END)`;

/** Looks at a database for a source, and makes nothing there. */
export function inspectPostgres(source: Inspected): Observable<PostgresInspection> {
  return defer(() => from(look(source)));
}

async function look({
  connectionString,
  slot,
  publication,
  tables,
  snapshot,
}: Inspected): Promise<PostgresInspection> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 10_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    const { rows } = await client.query(
      `SELECT current_setting('server_version') AS version, current_setting('wal_level') AS wal_level,
         (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user) AS may_replicate,
         (SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1) AS slot_at,
         (SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1) AS wal_status,
         (SELECT pg_size_pretty(pg_wal_lsn_diff(
             CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END, restart_lsn))
           FROM pg_replication_slots WHERE slot_name = $1) AS kept,
         (SELECT pg_size_pretty(safe_wal_size) FROM pg_replication_slots WHERE slot_name = $1) AS left,
         (SELECT (to_jsonb(slots) ->> 'failover')::boolean FROM pg_replication_slots AS slots WHERE slot_name = $1) AS has_failover,
         current_setting('synchronized_standby_slots', true) AS standby_slots,
         (SELECT count(*)::int FROM (${publishedTables}) AS published) AS tables,
         array(SELECT oid::regclass::text FROM (${publishedTables}) AS published WHERE NOT (${isIdentified}) ORDER BY 1 LIMIT 5) AS without_identity,
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
      log: row.wal_status === null ? undefined : logOf(row),
      hasFailover: row.has_failover ?? undefined,
      standbySlots: row.standby_slots ?? undefined,
      hasPublication: row.has_publication === true,
      mayPublish: row.may_publish === true,
      tables: Number(row.tables),
      withoutIdentity: row.without_identity,
      rows: snapshot === "never" ? undefined : await inspectTables(client, publication, tables),
    };
  } catch (error) {
    throw postgresErrorOf(error, connectionString);
  } finally {
    await client.end().catch(() => {});
  }
}

function logOf({ wal_status, kept, left }: Readonly<Record<string, unknown>>): KeptLog {
  return {
    status: `${wal_status}`,
    size: `${kept ?? "nothing"}`,
    left: left === null ? undefined : `${left}`,
  };
}
