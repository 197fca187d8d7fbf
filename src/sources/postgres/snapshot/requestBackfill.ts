import { Client, type ClientConfig } from "pg";
import { refuseUnknown } from "../../../options/decodeOptions.ts";
import { checkOptions } from "../checkOptions.ts";
import { postgresError, postgresErrorOf } from "../postgresError.ts";
import { maxWhere, Request, requestPrefix } from "./backfill.ts";
import { conditionsOf } from "./where.ts";

/** Which rows to read, and who reads them. */
export interface BackfillOptions {
  /** `postgres://user:password@host:port/database`: of the database that is read. */
  readonly connectionString: string;
  /** Further settings of `pg`, such as `ssl`. */
  readonly client?: ClientConfig;
  /** The replication slot of the source that is to read them. Default `rxadd`. */
  readonly slot?: string;
  /** As `schema.table`. */
  readonly table: string;
  /** Which of its rows, as in SQL: columns compared with texts, numbers, true or false, joined by `and`. Default: all. */
  readonly where?: string;
  /**
   * Whether a truncate is told before all rows, so that what the stream has and the table has not goes away with whoever
   * follows the stream. Not with `where`. Default false.
   */
  readonly anew?: boolean;
}

const names = {
  connectionString: true,
  client: true,
  slot: true,
  table: true,
  where: true,
  anew: true,
} as const;

/**
 * Asks a source that runs, here or in another process, to read rows of a table: they come as events with `op: "r"`, in order with the
 * changes. The request is a message in the log, so that a source that is away hears of it later; one with `snapshot: "never"` hears of none.
 *
 * - **Rights** it needs none but to connect.
 * - **Errors** it rejects with an {@link RxaddError}: `NotConfigured` for a slot, a table or conditions that there are not.
 *
 * @returns resolves once the request is in the log
 *
 * @example
 * ```ts
 * await backfill({ connectionString, slot: "shop_orders", table: "public.orders", where: "status = 'open'" });
 * ```
 */
export async function backfill(options: BackfillOptions): Promise<void> {
  refuseUnknown("backfill", options, names);
  const { connectionString, slot = "rxadd", table, where, anew = false } = options;
  const client = new Client({ connectionTimeoutMillis: 10_000, ...options.client, connectionString });
  client.on("error", () => {});
  try {
    checkOptions({ slot, publication: "rxadd", tables: [table], messages: undefined });
    if (anew && where !== undefined)
      throw postgresError(
        "NotConfigured",
        "anew: found it with where, expected one of them: a truncate is of all rows",
      );
    if ((where?.length ?? 0) > maxWhere)
      throw postgresError(
        "NotConfigured",
        `where: found ${where?.length} characters, expected at most ${maxWhere}`,
      );
    const [schema = "", name = ""] = table.split(".");
    const conditions = where === undefined ? [] : conditionsOf(where);
    const request = { slot, schema, table: name, where: conditions, isAnew: anew };
    if (!Request.is(request))
      throw postgresError(
        "NotConfigured",
        "table, where: found a name or a text that PostgreSQL cannot hold, expected no zero byte and no half of a character, and names of up to 63 bytes",
      );
    await client.connect();
    const { rows } = await client.query(
      `SELECT EXISTS (SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 AND database = current_database()) AS has_slot,
         EXISTS (SELECT 1 FROM pg_publication_tables WHERE schemaname = $2 AND tablename = $3) AS has_table,
         array(SELECT name FROM unnest($4::text[]) AS name WHERE name NOT IN (SELECT attname FROM pg_attribute
           JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
           WHERE nspname = $2 AND relname = $3 AND attnum > 0 AND NOT attisdropped)) AS unknown`,
      [slot, schema, name, conditions.map(([column]) => column)],
    );
    const [found] = rows;
    if (!found.has_slot)
      throw postgresError(
        "NotConfigured",
        `slot: found no slot ${slot} in this database, expected that of the source that is to read the rows`,
      );
    if (!found.has_table)
      throw postgresError("NotConfigured", `table: found no publication with ${table}, expected one`);
    if (found.unknown.length > 0)
      throw postgresError("NotConfigured", `where: found no column ${found.unknown[0]} in ${table}`);
    // A standby that is away does not hold it up.
    await client.query("SET synchronous_commit = local");
    await client.query("SELECT pg_logical_emit_message(true, $1, $2)", [
      requestPrefix,
      JSON.stringify(request),
    ]);
  } catch (error) {
    throw postgresErrorOf(error, connectionString);
  } finally {
    await client.end().catch(() => {});
  }
}
