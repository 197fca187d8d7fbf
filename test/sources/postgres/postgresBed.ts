import { Client } from "pg";
import { lastValueFrom, NEVER, take, toArray } from "rxjs";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import type { ChangeEvent, Lsn, Row, Source } from "../../../src/index.ts";
import { type PostgresOptions, postgresChanges } from "../../../src/sources/postgres/index.ts";
import { type PostgresServer, startPostgres } from "../../kit/servers/postgresServer.ts";

export type Change = ChangeEvent<Row, Lsn>;

/** A server for a test file; for each test an empty table `orders`, and a slot and a publication of its own. */
export function postgresBed() {
  let server: PostgresServer;
  let db: Client;
  let runs = 0;

  async function connect(): Promise<void> {
    db = new Client(server.connectionString);
    // A test that restarts the server knows why.
    db.on("error", () => {});
    await db.connect();
  }
  const query = async (sql: string) => (await db.query(sql)).rows;
  const active = () => query("SELECT active_pid AS pid FROM pg_replication_slots WHERE active");
  const isIdle = async () => {
    await expect.poll(async () => (await active()).length).toBe(0);
  };
  /** While a slot is made, the process that makes it has it as well. */
  const readers = () =>
    query(
      "SELECT active_pid AS pid FROM pg_replication_slots WHERE active_pid IN (SELECT pid FROM pg_stat_replication)",
    );
  const isRead = async () => {
    await expect.poll(async () => (await readers()).length).toBe(1);
  };

  beforeAll(async () => {
    server = await startPostgres();
    await connect();
  });
  afterAll(async () => {
    await db.end();
    await server.stop();
  });
  beforeEach(async () => {
    runs += 1;
    await query("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    await query("CREATE TABLE orders (id int PRIMARY KEY, item text, amount int)");
  });
  afterEach(async () => {
    await isIdle();
    await query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
    await query(`DROP PUBLICATION IF EXISTS pub_${runs}`);
  });

  /** Without a sink: the slot is the only mark, unless a test says otherwise. */
  function source(options: Partial<PostgresOptions> = {}): Source<Change, Lsn> {
    return postgresChanges({
      connectionString: server.connectionString,
      slot: `slot_${runs}`,
      publication: `pub_${runs}`,
      acceptHole: true,
      ...options,
    });
  }

  return {
    query,
    source,
    slot: () => `slot_${runs}`,
    publication: () => `pub_${runs}`,
    connectionString: () => server.connectionString,
    /** The process of the server that reads for the source. */
    activePid: async (): Promise<number> => (await readers())[0]?.pid,
    reading: isRead,
    idle: isIdle,
    /** Makes slot and publication without reading, so that what follows is in the log. */
    openSlot: async (options: Partial<PostgresOptions> = {}): Promise<void> => {
      const subscription = source(options)(undefined, NEVER).subscribe();
      await isRead();
      subscription.unsubscribe();
      await isIdle();
    },
    /** The first changes that a new source emits. */
    read: (count: number, from?: Lsn, options: Partial<PostgresOptions> = {}) =>
      lastValueFrom(source(options)(from, NEVER).pipe(take(count), toArray<Change>())),
    confirmedLsn: async (): Promise<string> =>
      (await query("SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots"))[0]?.lsn,
    restart: async (): Promise<void> => {
      await server.restart();
      await connect();
    },
  };
}

/** Subscribes, keeps what is emitted, and says when there is enough of it. */
export function collect(changes$: ReturnType<Source<Change, Lsn>>) {
  const events: Change[] = [];
  const failures: unknown[] = [];
  const subscription = changes$.subscribe({
    next: (event) => events.push(event),
    error: (error) => failures.push(error),
  });
  return {
    events,
    failures,
    ids: () => events.map(({ after }) => Number(after?.id)),
    position: (index: number) => events[index]?.position as Lsn,
    has: (count: number) => expect.poll(() => events.length).toBeGreaterThanOrEqual(count),
    unsubscribe: () => subscription.unsubscribe(),
  };
}

/** 1, 2, … count */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
