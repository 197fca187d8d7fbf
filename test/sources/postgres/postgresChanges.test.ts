import { none, type Option, some } from "fp-ts/lib/Option.js";
import { Client } from "pg";
import { BehaviorSubject, firstValueFrom, lastValueFrom, NEVER, Subject, take, toArray } from "rxjs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ChangeEvent, Flow, Lsn } from "../../../src/index.ts";
import { ordLsn } from "../../../src/index.ts";
import {
  type PostgresOptions,
  PostgresSourceError,
  postgresChanges,
} from "../../../src/sources/postgres/index.ts";
import { type PostgresServer, startPostgres } from "../../support/postgresServer.ts";

let server: PostgresServer;
let db: Client;
let runs = 0;

beforeAll(async () => {
  server = await startPostgres();
  db = new Client(server.connectionString);
  await db.connect();
});
afterAll(async () => {
  await db.end();
  await server.stop();
});
beforeEach(async () => {
  runs += 1;
  await db.query("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
  await db.query("CREATE TABLE orders (id int PRIMARY KEY, item text, amount int)");
});
afterEach(async () => {
  await expect
    .poll(async () => (await db.query("SELECT 1 FROM pg_replication_slots WHERE active")).rowCount, {
      timeout: 10_000,
    })
    .toBe(0);
  await db.query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
  await db.query(`DROP PUBLICATION IF EXISTS pub_${runs}`);
});

function source(options: Partial<PostgresOptions> = {}) {
  return postgresChanges({
    connectionString: server.connectionString,
    slot: `slot_${runs}`,
    publication: `pub_${runs}`,
    ...options,
  });
}

/** Opens the slot without reading, so that what follows is in the log. */
async function openSlot(): Promise<void> {
  const subscription = source()(none, NEVER).subscribe();
  await expect
    .poll(async () => (await db.query("SELECT 1 FROM pg_replication_slots WHERE active")).rowCount)
    .toBe(1);
  subscription.unsubscribe();
  await expect
    .poll(async () => (await db.query("SELECT 1 FROM pg_replication_slots WHERE active")).rowCount)
    .toBe(0);
}

function read(count: number, from: Option<Lsn> = none): Promise<ChangeEvent<Lsn>[]> {
  return lastValueFrom(source()(from, NEVER).pipe(take(count), toArray()));
}

async function confirmedLsn(): Promise<string> {
  const { rows } = await db.query("SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots");
  return rows[0].lsn;
}

describe("postgresChanges", () => {
  it("emits inserts, updates, deletes and truncates of a transaction, in order, with the last one marked", async () => {
    await openSlot();
    await db.query(`BEGIN;
      INSERT INTO orders VALUES (1, 'tea', 2);
      UPDATE orders SET amount = 3;
      DELETE FROM orders;
      TRUNCATE orders;
      COMMIT`);

    const events = await read(4);

    expect(events.map(({ op, before, after }) => ({ op, before, after }))).toEqual([
      { op: "c", before: null, after: { id: 1, item: "tea", amount: 2 } },
      { op: "u", before: null, after: { id: 1, item: "tea", amount: 3 } },
      { op: "d", before: { id: 1 }, after: null },
      { op: "t", before: null, after: null },
    ]);
    expect(events.map(({ transaction }) => [transaction?.total_order, transaction?.last])).toEqual([
      [1, false],
      [2, false],
      [3, false],
      [4, true],
    ]);
    expect(new Set(events.map(({ transaction }) => transaction?.id)).size).toBe(1);
    expect(events[0]?.source).toMatchObject({
      connector: "postgresql",
      db: "postgres",
      schema: "public",
      table: "orders",
    });
    expect(Math.abs(Date.now() - (events[0]?.ts_ms ?? 0))).toBeLessThan(60_000);
  });

  it("has the whole row before a change under REPLICA IDENTITY FULL", async () => {
    await db.query("ALTER TABLE orders REPLICA IDENTITY FULL");
    await openSlot();
    await db.query("INSERT INTO orders VALUES (1, 'tea', 2)");
    await db.query("UPDATE orders SET amount = 3");
    await db.query("DELETE FROM orders");

    const [, update, remove] = await read(3);

    expect(update?.before).toEqual({ id: 1, item: "tea", amount: 2 });
    expect(remove?.before).toEqual({ id: 1, item: "tea", amount: 3 });
  });

  it("has the old key before an update of the key", async () => {
    await openSlot();
    await db.query("INSERT INTO orders VALUES (1, 'tea', 2)");
    await db.query("UPDATE orders SET id = 2");

    const [, update] = await read(2);

    expect(update).toMatchObject({ op: "u", before: { id: 1 }, after: { id: 2 } });
  });

  it("names large columns that an update did not touch, instead of a value", async () => {
    await db.query("CREATE TABLE docs (id int PRIMARY KEY, title text, body text)");
    await db.query("ALTER TABLE docs ALTER body SET STORAGE EXTERNAL");
    await openSlot();
    await db.query("INSERT INTO docs VALUES (1, 'a', repeat('x', 10000))");
    await db.query("UPDATE docs SET title = 'b'");

    const [, update] = await read(2);

    expect(update?.after).toEqual({ id: 1, title: "b" });
    expect(update?.source.unchanged).toEqual(["body"]);
  });

  it("keeps values exact and fit for JSON", async () => {
    await db.query(`CREATE TABLE kinds (id int PRIMARY KEY, big bigint, huge bigint, exact numeric, real float8, nan float8,
      yes bool, doc jsonb, moment timestamptz, bytes bytea, list int[], nothing text)`);
    await openSlot();
    await db.query(`INSERT INTO kinds VALUES (1, 42, 9007199254740993, 0.10, 1.5, 'NaN', true, '{"a": [1]}',
      '2026-01-31 12:00:00.123456+00', '\\x00ff', '{1,2}', NULL)`);

    const [event] = await read(1);

    expect(JSON.parse(JSON.stringify(event?.after))).toEqual({
      id: 1,
      big: 42,
      huge: "9007199254740993",
      exact: "0.10",
      real: 1.5,
      nan: "NaN",
      yes: true,
      doc: { a: [1] },
      moment: expect.stringMatching(/^2026-01-31T\d\d:00:00\.123456[+-]\d\d:00$/),
      bytes: "\\x00ff",
      list: "{1,2}",
      nothing: null,
    });
  });

  it("emits nothing of a transaction that is rolled back, and only of the tables asked for", async () => {
    await db.query("CREATE TABLE other (id int PRIMARY KEY)");
    const tables = ["public.orders"];
    const subscription = source({ tables })(none, NEVER).subscribe();
    await expect
      .poll(async () => (await db.query("SELECT 1 FROM pg_replication_slots WHERE active")).rowCount)
      .toBe(1);
    subscription.unsubscribe();
    await db.query("BEGIN; INSERT INTO orders VALUES (1, 'no', 1); ROLLBACK");
    await db.query("INSERT INTO other VALUES (1)");
    await db.query("INSERT INTO orders VALUES (2, 'yes', 1)");

    const [event] = await read(1);

    expect(event?.after).toEqual({ id: 2, item: "yes", amount: 1 });
  });

  it("gives the same ids and increasing positions on every replay", async () => {
    await openSlot();
    for (let id = 1; id <= 5; id += 1) {
      await db.query(
        `BEGIN; INSERT INTO orders VALUES (${id}, 'a', 1); UPDATE orders SET amount = 2 WHERE id = ${id}; COMMIT`,
      );
    }

    const first = await read(10);
    const second = await read(10);

    expect(second).toEqual(first);
    const positions = first.map(({ position }) => position as Lsn);
    expect(positions).toEqual([...positions].sort(ordLsn.compare));
    expect(new Set(positions).size).toBe(10);
    expect(new Set(first.map(({ id }) => id)).size).toBe(10);
  });

  it("goes on strictly after a position in the middle of a transaction", async () => {
    await openSlot();
    await db.query("INSERT INTO orders SELECT n, 'a', n FROM generate_series(1, 10) n");
    const events = await read(10);

    const rest = await read(6, some(events[3]?.position as Lsn));

    expect(rest).toEqual(events.slice(4));
  });

  it("confirms a transaction to the server once its last change is acknowledged, and not before", async () => {
    await openSlot();
    await db.query("INSERT INTO orders SELECT n, 'a', n FROM generate_series(1, 3) n");
    await db.query("INSERT INTO orders VALUES (4, 'a', 4)");
    const before = await confirmedLsn();
    const changes = source();
    const events: ChangeEvent<Lsn>[] = [];
    const all = new Subject<void>();
    const subscription = changes(none, NEVER).subscribe((event) => {
      events.push(event);
      if (events.length === 4) all.next();
    });
    await firstValueFrom(all);

    changes.acknowledge?.(events[1]?.position as Lsn);
    subscription.unsubscribe();
    expect(await confirmedLsn()).toBe(before);
    expect((await read(4)).length).toBe(4);

    const again = source();
    const counted = new Subject<void>();
    let count = 0;
    const reading = again(none, NEVER).subscribe(() => {
      count += 1;
      if (count === 4) counted.next();
    });
    await firstValueFrom(counted);
    again.acknowledge?.(events[2]?.position as Lsn);
    await expect.poll(confirmedLsn).not.toBe(before);
    reading.unsubscribe();

    expect((await read(1))[0]?.id).toBe(events[3]?.id);
  });

  it("lets the server remove the log while the published tables are idle", async () => {
    await db.query("CREATE TABLE busy (id int)");
    const subscription = source({ tables: ["public.orders"] })(none, NEVER).subscribe();
    await expect
      .poll(async () => (await db.query("SELECT 1 FROM pg_replication_slots WHERE active")).rowCount)
      .toBe(1);
    const before = await confirmedLsn();
    await db.query("INSERT INTO busy SELECT generate_series(1, 1000)");

    // A synchronous-standby style flush makes the server ask where we are.
    await expect.poll(confirmedLsn, { timeout: 45_000, interval: 200 }).not.toBe(before);
    subscription.unsubscribe();
  });

  it("stops reading while paused, and loses nothing when it goes on", async () => {
    await openSlot();
    await db.query("INSERT INTO orders SELECT n, repeat('x', 200), n FROM generate_series(1, 100000) n");
    const flow = new BehaviorSubject<Flow>("resume");
    let count = 0;
    let sum = 0;
    const done = new Subject<void>();
    const paused = new Subject<void>();
    const subscription = source()(none, flow).subscribe(({ after }) => {
      count += 1;
      sum += Number(after?.id);
      if (count === 1000) {
        flow.next("pause");
        setTimeout(() => paused.next(), 500);
      }
      if (count === 100_000) done.next();
    });

    await firstValueFrom(paused);
    expect(count).toBeLessThan(5000);
    const finished = firstValueFrom(done);
    flow.next("resume");
    await finished;
    subscription.unsubscribe();

    expect(sum).toBe((100_000 * 100_001) / 2);
  });

  it("goes on after its connection is ended by the server, without loss or duplicates", async () => {
    await openSlot();
    const ids: number[] = [];
    const done = new Subject<void>();
    const subscription = source()(none, NEVER).subscribe(({ after }) => {
      ids.push(Number(after?.id));
      if (ids.length === 5000) done.next();
    });
    const finished = firstValueFrom(done);
    for (let start = 0; start < 5000; start += 500) {
      await db.query(
        `INSERT INTO orders SELECT n, 'a', n FROM generate_series(${start + 1}, ${start + 500}) n`,
      );
      await db.query("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active");
    }
    await finished;
    subscription.unsubscribe();

    expect(ids).toEqual(Array.from({ length: 5000 }, (_, index) => index + 1));
  });

  it("ends rather than skip changes that it has let the server forget", async () => {
    await openSlot();
    await db.query("INSERT INTO orders VALUES (1, 'a', 1)");
    const changes = source();
    const event = await firstValueFrom(changes(none, NEVER));
    changes.acknowledge?.(event.position as Lsn);

    const failure = await lastValueFrom(changes(none, NEVER)).catch((error) => error);

    expect(failure).toBeInstanceOf(PostgresSourceError);
    expect(failure).toMatchObject({ _tag: "PositionUnavailable" });
  });

  it("says what is wrong with a password, without saying the password", async () => {
    const connectionString = server.connectionString.replace("secret", "hunter2");

    const failure = await lastValueFrom(source({ connectionString })(none, NEVER)).catch((error) => error);

    expect(failure).toMatchObject({ _tag: "AuthenticationFailed" });
    expect(failure.message).not.toContain("hunter2");
  });
});

describe("postgresChanges on a server that is not set up for it", () => {
  it("says that wal_level has to be logical", async () => {
    const other = await startPostgres({ wal_level: "replica" });
    try {
      const failure = await lastValueFrom(
        postgresChanges({ connectionString: other.connectionString })(none, NEVER),
      ).catch((error) => error);

      expect(failure).toMatchObject({ _tag: "NotConfigured" });
      expect(failure.message).toContain("wal_level");
    } finally {
      await other.stop();
    }
  });
});
