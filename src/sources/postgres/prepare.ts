import { Client, type ClientConfig } from "pg";
import { from, type Observable, type Unsubscribable, using } from "rxjs";
import { PostgresSourceError } from "./postgresError.ts";
import { preparePublication } from "./publication.ts";

/** What `prepare` makes, if it is missing. */
export interface Preparation {
  readonly slot: string;
  readonly publication: string;
  /** As `schema.table`; undefined: all tables. */
  readonly tables: readonly string[] | undefined;
  /** Whether nothing is lost if the slot begins now. */
  readonly isFirstRun: boolean;
}

/** Where the slot stands. */
export interface Prepared {
  readonly db: string;
  /** The server has forgotten the log up to here. */
  readonly confirmedLsn: string;
  /** How far the server's log goes. */
  readonly logEnd: string;
  /** After how long without a word the server ends a connection, in ms; 0: never. */
  readonly senderTimeoutMs: number;
}

interface Resource extends Unsubscribable {
  readonly client: Client;
}

/** Makes the publication and the slot if they are missing; running it again changes nothing. */
export function prepare(config: ClientConfig, preparation: Preparation): Observable<Prepared> {
  return using(
    (): Resource => {
      const client = new Client(config);
      // Without a listener a broken connection would end the process; the queries reject as well.
      client.on("error", () => {});
      return { client, unsubscribe: () => void client.end().catch(() => {}) };
    },
    (resource) => from(run((resource as Resource).client, preparation)),
  );
}

async function run(
  client: Client,
  { slot, publication, tables, isFirstRun }: Preparation,
): Promise<Prepared> {
  await client.connect();
  await preparePublication(client, publication, tables);
  const find = `SELECT plugin, database, current_database() AS db, confirmed_flush_lsn::text AS lsn,
                  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                       ELSE pg_current_wal_flush_lsn() END::text AS end,
                  (SELECT setting::int FROM pg_settings WHERE name = 'wal_sender_timeout') AS timeout
                FROM pg_replication_slots WHERE slot_name = $1`;
  let found = await client.query(find, [slot]);
  if (found.rowCount === 0) {
    if (!isFirstRun) {
      throw new PostgresSourceError(
        "PositionUnavailable",
        `slot ${slot}: found none, expected the one of the earlier runs: the changes since then are gone; fill the stream anew from a snapshot, with a new sink id`,
      );
    }
    await client.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [slot]);
    found = await client.query(find, [slot]);
  }
  const { plugin, database, db, lsn, end, timeout } = found.rows[0];
  if (plugin !== "pgoutput" || database !== db) {
    throw new PostgresSourceError(
      "NotConfigured",
      `slot ${slot}: found plugin ${plugin} on database ${database}, expected pgoutput on ${db}: choose another slot name`,
    );
  }
  return { db, confirmedLsn: lsn, logEnd: end, senderTimeoutMs: timeout };
}
