import { Client, type ClientConfig } from "pg";
import { from, type Observable, type Unsubscribable, using } from "rxjs";
import { type Lsn, placeOf } from "../../event/lsn.ts";
import { beginAnew, checkServer, holeOf, unavailable } from "./checkAvailable.ts";
import { mends, postgresError } from "./postgresError.ts";
import { findPublication, type Published, preparePublication } from "./publication.ts";
import type { SnapshotPlan } from "./replicationChanges.ts";
import { publishedTables } from "./snapshot/table.ts";
import { readsOf, type TableRead } from "./snapshot/tableRead.ts";

/** Which rows a source reads beside the changes. */
export type SnapshotChoice = "never" | "onDemand" | "initial";

/** What `prepare` makes, if it is missing. */
export interface Preparation extends Published {
  readonly slot: string;
  /** Whether the slot has to go along when a standby takes over. */
  readonly failover: boolean;
  readonly publication: string;
  /** After what to go on. */
  readonly after: Lsn | undefined;
  /** The furthest that a sink stands. */
  readonly reached: Lsn | undefined;
  /** Where this process has made the slot; undefined: it has not. */
  readonly madeAt: string | undefined;
  /** Whether to go on although changes are gone. */
  readonly acceptHole: boolean;
  readonly snapshot: SnapshotChoice;
}

/** Where the slot stands. */
export interface Prepared {
  readonly db: string;
  /** The server has forgotten the log up to here. */
  readonly confirmedLsn: string;
  /** Whether the slot has just been made. */
  readonly isNew: boolean;
  /** What is gone, if that was accepted. */
  readonly hole: string | undefined;
  /** After how long without a word the server ends a connection, in ms; 0: never. */
  readonly senderTimeoutMs: number;
  /** Which rows are to be read; undefined: none, nor will be. */
  readonly reading: Pick<SnapshotPlan, "reads" | "tables"> | undefined;
}

interface Resource extends Unsubscribable {
  readonly client: Client;
}

/**
 * Makes the publication and the slot if they are missing; running it again changes nothing. Makes nothing where changes are
 * gone, unless that is accepted.
 */
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

interface FoundSlot {
  readonly plugin: string;
  readonly database: string | null;
  readonly db: string;
  readonly lsn: string;
  /** The process that reads it. */
  readonly pid: number | null;
  readonly end: string;
  readonly timeout: number;
  /** Null before PostgreSQL 17. */
  readonly failover: boolean | null;
  /** Whether this is the copy of a standby, which nobody may read before that takes over. */
  readonly copied: boolean | null;
}

async function findSlot(client: Client, slot: string): Promise<FoundSlot | undefined> {
  const found = await client.query<FoundSlot>(
    `SELECT plugin, database, current_database() AS db, confirmed_flush_lsn::text AS lsn, active_pid AS pid,
       CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END::text AS end,
       (SELECT setting::int FROM pg_settings WHERE name = 'wal_sender_timeout') AS timeout,
       (to_jsonb(slots) ->> 'failover')::boolean AS failover,
       pg_is_in_recovery() AND (to_jsonb(slots) ->> 'synced')::boolean AS copied
     FROM pg_replication_slots AS slots WHERE slot_name = $1`,
    [slot],
  );
  return found.rows[0];
}

async function run(
  client: Client,
  { slot, failover, publication, after, reached, madeAt, acceptHole, snapshot, ...published }: Preparation,
): Promise<Prepared> {
  await client.connect();
  const found = await findSlot(client, slot);
  if (found !== undefined) checkSlot(slot, failover, found);
  const hasPublication = await findPublication(client, publication);
  const standing = { from: after, reached, slot, confirmedLsn: found?.lsn, publication, hasPublication };
  const hole = holeOf({ ...standing, madeAt });
  if (hole !== undefined && !acceptHole) throw unavailable(`${hole}; ${mends}`);
  await preparePublication(client, publication, published);
  if (found === undefined) await makeSlot(client, slot, failover);
  else if (!hasPublication) await passOverUnpublished(client, slot);
  const { db, lsn, end, timeout } =
    found !== undefined && hasPublication ? found : await slotMade(client, slot);
  checkServer(after, end);
  const reads = after === undefined ? [] : leftToRead(after);
  const isToRead = snapshot === "initial" && (hole !== undefined || after === undefined);
  const reading =
    snapshot === "never" && reads.length === 0
      ? undefined
      : await plan(client, publication, isToRead ? (hole === undefined ? "first" : "anew") : reads);
  return { db, confirmedLsn: lsn, isNew: found === undefined, hole, senderTimeoutMs: timeout, reading };
}

/** What is left to be read at a position. */
function leftToRead(position: Lsn): readonly TableRead[] {
  const reads = readsOf(position);
  if (reads !== undefined) return reads;
  throw unavailable(
    `found position ${placeOf(position)} with a snapshot that is no list of tables: it was written by another version; ${beginAnew}`,
  );
}

async function plan(
  client: Client,
  publication: string,
  reads: readonly TableRead[] | "first" | "anew",
): Promise<Prepared["reading"]> {
  const tables = await publishedTables(client, publication);
  if (typeof reads !== "string") return { tables, reads };
  const [first] = tables;
  const all = { after: undefined, isAnew: reads === "anew", scope: "onward" as const };
  return { tables, reads: first === undefined ? [] : [{ ...first, ...all }] };
}

/** Before PostgreSQL 18 a server goes on only where the publication stood: what it could still send before is left out as well. */
async function passOverUnpublished(client: Client, slot: string): Promise<void> {
  await client.query(
    `SELECT pg_replication_slot_advance($1, pg_current_wal_insert_lsn())
     WHERE current_setting('server_version_num')::int < 180000`,
    [slot],
  );
}

async function makeSlot(client: Client, slot: string, failover: boolean): Promise<void> {
  const how = failover ? ", failover => true" : "";
  await client.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput'${how})`, [slot]);
}

/** The slot that has just been made, or moved. */
async function slotMade(client: Client, slot: string): Promise<FoundSlot> {
  const made = await findSlot(client, slot);
  if (made !== undefined) return made;
  throw unavailable(`slot ${slot}: it was dropped as soon as it was made`);
}

/** What a slot that somebody reads is confirmed up to may change before we read it. */
function checkSlot(
  slot: string,
  wantsFailover: boolean,
  { plugin, database, db, pid, failover, copied }: FoundSlot,
): void {
  if (copied) {
    throw postgresError(
      "ConnectionLost",
      `slot ${slot}: found the copy of a standby, expected the primary: it is read as soon as the standby takes over`,
    );
  }
  if (plugin !== "pgoutput" || database !== db) {
    throw postgresError(
      "NotConfigured",
      `slot ${slot}: found plugin ${plugin} on database ${database}, expected pgoutput on ${db}: choose another slot name`,
    );
  }
  if (wantsFailover && failover !== true) {
    throw postgresError(
      "NotConfigured",
      `failover: found slot ${slot} without it, expected one that goes along to a standby: say ALTER_REPLICATION_SLOT ${slot} (FAILOVER true) on a connection with replication=database, of PostgreSQL 17 or later, while nobody reads it`,
    );
  }
  if (pid === null) return;
  throw postgresError(
    "SlotInUse",
    `slot ${slot}: found it read by process ${pid}: one process at a time reads a slot; give this one a slot of its own`,
  );
}
