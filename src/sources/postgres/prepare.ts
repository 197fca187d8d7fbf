import { Client, type ClientConfig } from "pg";
import { PostgresSourceError } from "./postgresError.ts";

/** What `prepare` makes, if it is missing. */
export interface Preparation {
  readonly slot: string;
  readonly publication: string;
  /** As `schema.table`; undefined: all tables. */
  readonly tables: readonly string[] | undefined;
}

/** Where the slot stands. */
export interface Prepared {
  readonly db: string;
  /** The server has forgotten the log up to here. */
  readonly confirmedLsn: string;
}

function quoted(client: Client, table: string): string {
  return table
    .split(".")
    .map((part) => client.escapeIdentifier(part))
    .join(".");
}

/** Makes the publication and the slot if they are missing; running it again changes nothing. */
export async function prepare(
  config: ClientConfig,
  { slot, publication, tables }: Preparation,
): Promise<Prepared> {
  const client = new Client(config);
  // Without a listener a broken connection would end the process; the queries reject as well.
  client.on("error", () => {});
  await client.connect();
  try {
    const known = await client.query("SELECT 1 FROM pg_publication WHERE pubname = $1", [publication]);
    if (known.rowCount === 0) {
      const target =
        tables === undefined
          ? "ALL TABLES"
          : `TABLE ${tables.map((table) => quoted(client, table)).join(", ")}`;
      await client.query(`CREATE PUBLICATION ${client.escapeIdentifier(publication)} FOR ${target}`);
    }
    const find = `SELECT plugin, database, current_database() AS db, confirmed_flush_lsn::text AS lsn
                  FROM pg_replication_slots WHERE slot_name = $1`;
    let found = await client.query(find, [slot]);
    if (found.rowCount === 0) {
      await client.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [slot]);
      found = await client.query(find, [slot]);
    }
    const { plugin, database, db, lsn } = found.rows[0];
    if (plugin !== "pgoutput" || database !== db) {
      throw new PostgresSourceError(
        "NotConfigured",
        `slot ${slot}: found plugin ${plugin} on database ${database}, expected pgoutput on ${db}: choose another slot name`,
      );
    }
    return { db, confirmedLsn: lsn };
  } finally {
    await client.end();
  }
}
