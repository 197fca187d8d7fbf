import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { BehaviorSubject, NEVER } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Flow } from "../../../../operators/flow.ts";
import { ordLsn } from "../../../../src/event/lsn.ts";
import { isRxaddError, type Lsn } from "../../../../src/index.ts";
import {
  backfill,
  type PostgresOptions,
  type SnapshotProgress,
} from "../../../../src/sources/postgres/index.ts";
import { type Change, collect, upTo } from "../postgresBed.ts";
import { snapshotBed } from "./snapshotBed.ts";

const { bed, reading, fill, runs } = snapshotBed();
const { query } = bed;

const rowsOf = (events: readonly Change[]) => events.filter(({ op }) => op === "r").map(({ after }) => after);
/** What is told, but for where it stands. */
const toldOf = (events: readonly Change[]) =>
  events.map(({ op, source, after }) => `${op} ${source.table} ${after?.id}`);

describe("a snapshot", () => {
  it("tells the rows that are there, then every change", async () => {
    await fill(1200);
    const run = reading();
    await run.has(1200);
    await query("INSERT INTO orders VALUES (1201, 'milk', 1)");
    await run.has(1201);

    expect(run.failures).toEqual([]);
    expect(run.ids()).toEqual(upTo(1201));
    const position = run.position(1199);
    expect(run.events[1199]).toEqual({
      id: `postgres/${position.split("@")[0]}`,
      op: "r",
      ts_ms: expect.any(Number),
      before: null,
      after: { id: 1200, item: "tea", amount: 1200 },
      source: {
        ...{ connector: "postgresql", db: "postgres", schema: "public", table: "orders" },
        lsn: position.split(":")[0],
        txId: expect.any(Number),
      },
      position,
    });
    expect(position).toMatch(/^\w+\/\w+:\d+@public\.orders\(\w{8}\)\/1200$/);
    expect(run.events[1200]?.op).toBe("c");
    expect(run.position(1200)).toMatch(/^\w+\/\w+:1$/);
  });

  it("tells nothing of an empty table", async () => {
    await query("CREATE TABLE other (id int PRIMARY KEY)");
    const progress: SnapshotProgress[] = [];
    const run = reading(undefined, { progress: { next: (each) => progress.push(each) } });
    await expect
      .poll(() => progress.map(({ table, state }) => `${table} ${state}`))
      .toEqual(["public.orders read", "public.other read"]);
    await query("INSERT INTO orders VALUES (1)");
    await run.has(1);

    expect(toldOf(run.events)).toEqual(["c orders 1"]);
  });

  it("reads tables one after the other, whatever their names and keys are", async () => {
    await query(`CREATE TABLE "B/ä.@" ("k/1" text, k2 numeric, id int, PRIMARY KEY (k2, "k/1"))`);
    await query(`INSERT INTO "B/ä.@" SELECT chr(n + 32), 1.0, n FROM generate_series(1, 90) AS n`);
    await query(`INSERT INTO "B/ä.@" VALUES ('', 1.00, 91), ('~', 0.5, 92)`);
    await fill(3);
    const run = reading();
    await run.has(95);

    expect(
      run
        .ids()
        .slice(0, 92)
        .toSorted((a, b) => a - b),
    ).toEqual(upTo(92));
    expect(run.ids()[0]).toBe(92);
    expect(run.ids().slice(92)).toEqual(upTo(3));
  });

  it("goes on in the middle of a table, from the last row that was kept", async () => {
    await fill(1000);
    const first = reading();
    await first.has(700);
    first.unsubscribe();
    await bed.idle();
    await query(
      "INSERT INTO orders VALUES (0, 'milk', 0), (1001, 'milk', 0); DELETE FROM orders WHERE id = 900",
    );

    const second = reading(first.position(332));
    await second.has(1000 - 333 + 2);

    expect(
      rowsOf(first.events.slice(0, 333))
        .concat(rowsOf(second.events))
        .map((row) => row?.id),
    ).toEqual([...upTo(1001)].filter((id) => id !== 900));
    expect(toldOf(second.events.filter(({ op }) => op !== "r"))).toEqual([
      "c orders 0",
      "c orders 1001",
      "d orders undefined",
    ]);
  });

  it("goes on also where it is not asked for any more", async () => {
    await fill(200);
    const first = reading();
    await first.has(200);
    first.unsubscribe();
    await bed.idle();

    const second = reading(first.position(99), { snapshot: "never" });
    await second.has(100);

    expect(second.ids()).toEqual(upTo(200).slice(100));
  });

  it("is no matter of a later start", async () => {
    await bed.openSlot();
    await fill(3);
    const first = await bed.read(3);
    await query("CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late VALUES (1)");

    const run = reading(first[2]?.position);
    await run.has(1);
    await query("INSERT INTO late VALUES (2)");
    await run.has(2);

    expect(toldOf(run.events)).toEqual(["c late 1", "c late 2"]);
  });

  it("makes the same rows as the changes do, whatever the types are", async () => {
    await query("CREATE DOMAIN cents AS int; CREATE TYPE mood AS ENUM ('ok')");
    await query(`CREATE TABLE typed (id int PRIMARY KEY, b bool, i bigint, f float8, n numeric, j jsonb, t timestamptz, a text[],
      d cents, m mood, y bytea, money money, __proto__ text, gone int, twice int GENERATED ALWAYS AS (id * 2) STORED)`);
    await query("ALTER TABLE typed DROP COLUMN gone");
    await query("CREATE TABLE orders_2 (id int PRIMARY KEY)");
    const values = `true, 9007199254740993, 'NaN', 1.50, '{"a": [1e400]}', '2026-01-31 12:00:00.123456+01', '{a,NULL,"b,c"}',
      5, 'ok', '\\x00ff', 1234.5, null`;
    await query(`INSERT INTO typed VALUES (1, ${values})`);
    const run = reading();
    await run.has(1);
    await query(`INSERT INTO typed VALUES (2, ${values})`);
    await run.has(2);

    const [read, created] = run.events;
    expect(read?.op).toBe("r");
    expect(JSON.stringify({ ...read?.after, id: 0 })).toBe(JSON.stringify({ ...created?.after, id: 0 }));
    expect(Object.keys(read?.after ?? {})).toContain("__proto__");
  });

  it("reads what is published: columns, rows and partitions", async () => {
    await query("CREATE TABLE parts (id int PRIMARY KEY, secret text, amount int) PARTITION BY RANGE (id)");
    await query("CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10)");
    await query("CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20)");
    await query("INSERT INTO parts SELECT n, 's', n FROM generate_series(5, 14) AS n");
    await query(
      "CREATE TABLE base (id int PRIMARY KEY); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (base)",
    );
    await query("INSERT INTO base VALUES (1); INSERT INTO child VALUES (2)");
    await query(
      `CREATE PUBLICATION ${bed.publication()} FOR TABLE parts (id, amount) WHERE (id > 6), base WITH (publish_via_partition_root = true)`,
    );
    const run = reading();
    await run.has(10);

    expect(toldOf(run.events)).toEqual([
      "r base 1",
      "r child 2",
      ...upTo(14)
        .slice(6)
        .map((id) => `r parts ${id}`),
    ]);
    expect(run.events[2]?.after).toEqual({ id: 7, amount: 7 });
  });

  it("goes by the replica identity, where that is another index than the primary key", async () => {
    await query("CREATE TABLE coded (id int PRIMARY KEY, code text NOT NULL)");
    await query(
      "CREATE UNIQUE INDEX codes ON coded (code); ALTER TABLE coded REPLICA IDENTITY USING INDEX codes",
    );
    await query("INSERT INTO coded VALUES (1, 'b'), (2, 'a')");
    const run = reading();
    await run.has(2);

    expect(toldOf(run.events)).toEqual(["r coded 2", "r coded 1"]);
    expect(run.position(1)).toMatch(/@public\.coded\(\w{8}\)\/b$/);
  });

  it("reads a table without a key as a whole, behind a truncate, and tells no change twice", async () => {
    await query("CREATE TABLE log (n int); ALTER TABLE log REPLICA IDENTITY FULL");
    await query("INSERT INTO log SELECT generate_series(1, 500)");
    await fill(1);
    const flow = new BehaviorSubject<Flow>("resume");
    const progress: SnapshotProgress[] = [];
    // It is told to pause after the first piece.
    const next = (each: SnapshotProgress) => {
      progress.push(each);
      if (each.table === "public.log" && each.state === "reading") flow.next("pause");
    };
    const run = reading(undefined, { progress: { next } }, flow);
    await expect.poll(() => flow.value).toBe("pause");
    await query(
      "INSERT INTO log VALUES (501); UPDATE log SET n = 502 WHERE n = 1; INSERT INTO orders VALUES (2)",
    );
    await expect
      .poll(() => {
        flow.next("resume");
        return progress.at(-1);
      })
      .toEqual({ table: "public.orders", state: "read", rows: 2, estimated: undefined });
    await query("INSERT INTO log VALUES (503)");
    await expect.poll(() => run.events.at(-1)?.after?.n).toBe(503);

    const ofLog = run.events.filter(({ source }) => source.table === "log");
    expect(ofLog.map(({ op, before, after }) => `${op} ${before?.n ?? ""} ${after?.n ?? ""}`)).toEqual([
      "t  ",
      ...upTo(500).map((n) => `r  ${n}`),
      "c  501",
      "u 1 502",
      "c  503",
    ]);
    const positions = run.events.map(({ position }) => position as Lsn);
    expect(positions.toSorted(ordLsn.compare)).toEqual(positions);
  });

  it("begins a table without a key again, behind a truncate, when it was interrupted", async () => {
    await query("CREATE TABLE log (n int); INSERT INTO log SELECT generate_series(1, 200)");
    const first = reading();
    await first.has(201);
    first.unsubscribe();
    await bed.idle();
    await query("INSERT INTO log VALUES (201)");

    const second = reading(first.position(99));
    await second.has(203);

    expect(second.events.slice(0, 3).map(({ op }) => op)).toEqual(["c", "t", "r"]);
    expect(rowsOf(second.events).map((row) => row?.n)).toEqual(upTo(201));
  });

  it("ends where a table may not be read, or policies would hide rows of it", async () => {
    await query("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN REPLICATION PASSWORD 'secret'");
    await query("GRANT USAGE ON SCHEMA public TO reader");
    await query(`CREATE PUBLICATION ${bed.publication()} FOR TABLE orders`);
    await fill(2);
    const connectionString = bed.connectionString().replace("postgres:secret", "reader:secret");
    const refused = reading(undefined, { connectionString });
    await expect.poll(() => refused.failures).toHaveLength(1);
    expect(refused.failures[0]).toMatchObject({
      _tag: "PermissionDenied",
      message: expect.stringContaining("GRANT SELECT"),
    });

    await bed.idle();
    await query("GRANT SELECT ON orders TO reader; ALTER TABLE orders ENABLE ROW LEVEL SECURITY");
    await query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
    const hidden = reading(undefined, { connectionString });
    await expect.poll(() => hidden.failures).toHaveLength(1);
    expect(hidden.failures[0]).toMatchObject({
      _tag: "PermissionDenied",
      message: expect.stringContaining("BYPASSRLS"),
    });

    await bed.idle();
    await query("ALTER TABLE orders DISABLE ROW LEVEL SECURITY");
    await query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
    const run = reading(undefined, { connectionString });
    await run.has(2);
    expect(run.ids()).toEqual([1, 2]);
  });

  it("waits while it is paused", async () => {
    await fill(2000);
    const flow = new BehaviorSubject<Flow>("pause");
    const progress: SnapshotProgress[] = [];
    const run = reading(undefined, { progress: { next: (each) => progress.push(each) } }, flow);
    await bed.reading();
    await query("INSERT INTO orders VALUES (0)");
    expect(run.events).toEqual([]);
    expect(progress).toEqual([]);

    flow.next("resume");
    await run.has(2001);

    expect(rowsOf(run.events).length).toBeGreaterThanOrEqual(2000);
    expect(progress.at(-1)).toMatchObject({ table: "public.orders", state: "read" });
    expect(progress.slice(0, -1).every(({ state }) => state === "reading")).toBe(true);
  });

  it("has a position from the first moment on, which says that all is left to be read", async () => {
    await fill(1);
    const source = bed.source({ snapshot: "initial", acceptHole: false });
    const passed: Lsn[] = [];
    source.passed?.subscribe((position) => passed.push(position));
    const run = collect(source(undefined, NEVER));
    runs.push(run);
    await run.has(1);

    expect(passed[0]).toMatch(/^\w+\/\w+@public\.orders$/);
  });

  it("reads every table anew, behind a truncate, where changes are gone and that is accepted", async () => {
    await fill(2);
    const first = reading();
    await first.has(2);
    first.unsubscribe();
    await bed.idle();
    await query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
    await query(
      "DELETE FROM orders WHERE id = 1; CREATE TABLE second (id int PRIMARY KEY); INSERT INTO second VALUES (1)",
    );

    const run = reading(first.position(1), { acceptHole: true });
    await run.has(4);

    expect(toldOf(run.events)).toEqual([
      "t orders undefined",
      "r orders 2",
      "t second undefined",
      "r second 1",
    ]);
    expect(run.position(0)).toMatch(/:1@!public\.orders\/$/);
  });

  it("refuses a position that another version wrote", async () => {
    await bed.openSlot();
    const run = reading("FFFFFFFF/0:1@public.orders?x" as Lsn);
    await expect.poll(() => run.failures).toHaveLength(1);

    expect(run.failures[0]).toMatchObject({ _tag: "PositionUnavailable" });
    expect(`${run.failures[0]}`).not.toContain("orders?x");
  });
});

describe("a backfill", () => {
  const ask = (options: Partial<Parameters<typeof backfill>[0]> = {}) =>
    backfill({
      connectionString: bed.connectionString(),
      slot: bed.slot(),
      table: "public.orders",
      ...options,
    });

  /** A source that has come to its place, and reads rows on demand. */
  async function following(options: Partial<PostgresOptions> = {}) {
    const run = reading(undefined, { snapshot: "onDemand", ...options });
    await bed.reading();
    return run;
  }

  it("reads rows between the changes", async () => {
    await fill(3);
    const run = await following();
    await query("INSERT INTO orders VALUES (4)");
    await ask();
    await run.has(5);
    await query("INSERT INTO orders VALUES (5)");
    await run.has(6);

    expect(toldOf(run.events)).toEqual([
      "c orders 4",
      ...upTo(4).map((id) => `r orders ${id}`),
      "c orders 5",
    ]);
  });

  it("reads those that meet conditions, or all behind a truncate", async () => {
    await fill(5);
    const run = await following();
    await ask({ where: "item = 'tea' and amount > 3" });
    await run.has(2);
    await ask({ anew: true });
    await run.has(8);

    expect(run.events.map(({ op }) => op).join("")).toBe("rrtrrrrr");
    expect(run.ids().slice(0, 2)).toEqual([4, 5]);
  });

  it("is heard after a crash, and once", async () => {
    await fill(2);
    await bed.openSlot();
    await ask();
    const first = reading(undefined, { snapshot: "onDemand", acceptHole: true });
    await first.has(2);
    first.unsubscribe();
    await bed.idle();

    const second = reading(first.position(0), { snapshot: "onDemand" });
    await second.has(1);
    await query("INSERT INTO orders VALUES (3)");
    await second.has(2);

    expect(toldOf(second.events)).toEqual(["r orders 2", "c orders 3"]);
  });

  it("is left out where it cannot be read, and reading goes on", async () => {
    await query("CREATE TABLE keyless (id int)");
    await fill(1);
    const progress: SnapshotProgress[] = [];
    const run = await following({ progress: { next: (each) => progress.push(each) } });
    await ask({ table: "public.keyless", where: "id = 1" });
    await ask({ where: "amount = 'many'" });
    await ask();
    await run.has(1);

    expect(run.failures).toEqual([]);
    const refused = progress.flatMap((each) =>
      each.state === "refused" ? [[each.table, each.error._tag]] : [],
    );
    expect(refused).toEqual([
      ["public.keyless", "NotConfigured"],
      ["public.orders", "Refused"],
    ]);
  });

  it.each<[Partial<Parameters<typeof backfill>[0]>, RegExp]>([
    [{ slot: "no_slot" }, /slot: found no slot no_slot/],
    [{ table: "public.none" }, /table: found no publication with public\.none/],
    [{ table: "orders" }, /tables: found "orders", expected schema\.table/],
    [{ where: "colour = 1" }, /where: found no column colour in public\.orders/],
    [{ where: "pg_sleep(1) = 1" }, /where: found "pg_sleep/],
    [{ where: "id = 1", anew: true }, /anew: found it with where/],
    [{ where: `item = '${"x".repeat(1000)}'` }, /where: found 1009 characters/],
  ])("is refused at once for %j", async (options, message) => {
    await following();
    const error = await ask(options).catch((reason: unknown) => reason);

    expect(isRxaddError(error) && error._tag).toBe("NotConfigured");
    expect(`${error}`).toMatch(message);
  });

  it("does not run the SQL of who may write into the log", async () => {
    await fill(1);
    const run = await following();
    const evil = (where: unknown) =>
      query(
        `SELECT pg_logical_emit_message(true, 'rxadd.backfill', '${JSON.stringify({ slot: bed.slot(), schema: "public", table: "orders", where, isAnew: false }).replaceAll("'", "''")}')`,
      );
    await evil([["id", "= 0; DROP TABLE orders; --", "1"]]);
    await evil("1 = 1");
    await evil([['id" = 1; DROP TABLE orders; --', "=", "1'; DROP TABLE orders; --"]]);
    await ask();
    await run.has(1);

    expect(toldOf(run.events)).toEqual(["r orders 1"]);
  });

  it("does not wait for a transaction that is open", async () => {
    await fill(1);
    const run = await following();
    const client = new Client(bed.connectionString());
    await client.connect();
    onTestFinished(() => client.end());
    await client.query("BEGIN; UPDATE orders SET amount = 77 WHERE id = 1");

    await ask();
    await run.has(1);
    await client.query("COMMIT");
    await run.has(2);

    expect(run.events.map(({ op, after }) => `${op} ${after?.amount}`)).toEqual(["r 1", "u 77"]);
  });

  /** A transaction that is in the log, and that waits for a standby that is not there; `end` lets it through. */
  async function hanging(sql: string) {
    const client = new Client(bed.connectionString());
    await client.connect();
    onTestFinished(() => client.end());
    const standbys = async (names: string) => {
      await query("SET synchronous_commit = local");
      await query(`ALTER SYSTEM SET synchronous_standby_names = '${names}'`);
      await query("SELECT pg_reload_conf()");
      await expect
        .poll(() => query("SHOW synchronous_standby_names"))
        .toEqual([{ synchronous_standby_names: names }]);
    };
    await standbys("nobody");
    // Some process of the server has yet to hear of it.
    const waits = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    await expect
      .poll(async () => {
        const probe = client.query("SELECT pg_logical_emit_message(true, 'probe', '')");
        const isOver = await Promise.race([probe.then(() => true), delay(100, false)]);
        await query(`SELECT pg_cancel_backend(pid) ${waits}`);
        await probe;
        return isOver;
      })
      .toBe(false);
    const waiting = client.query(sql);
    await expect.poll(() => query(`SELECT 1 ${waits}`)).toHaveLength(1);
    return async () => {
      await standbys("");
      await waiting;
    };
  }
  const isAsked = () =>
    expect
      .poll(() => query("SELECT 1 FROM pg_stat_activity WHERE application_name = 'rxadd snapshot'"))
      .not.toEqual([]);

  it("waits for a transaction that is in the log and that nobody sees yet", async () => {
    await fill(2);
    const run = await following();
    const end = await hanging("UPDATE orders SET amount = 77 WHERE id = 1");
    await run.has(1);

    await ask();
    await isAsked();
    await end();
    await run.has(3);

    expect(rowsOf(run.events)).toEqual([
      { id: 1, item: "tea", amount: 77 },
      { id: 2, item: "tea", amount: 2 },
    ]);
  });

  it("waits for one that an earlier process has told, and that is the newest of the server", async () => {
    await fill(2);
    const first = await following();
    const end = await hanging("UPDATE orders SET amount = 77 WHERE id = 1");
    await first.has(1);
    first.unsubscribe();
    await bed.idle();

    // As if that process had passed the place, and a sink had stored it.
    const [{ lsn }] = await query(
      `SELECT end_lsn::text AS lsn FROM pg_replication_slot_advance('${bed.slot()}', pg_current_wal_flush_lsn())`,
    );
    const run = reading(`${lsn}@public.orders` as Lsn);
    await isAsked();
    await delay(300);
    expect(run.events).toEqual([]);
    await end();
    await run.has(2);

    expect(rowsOf(run.events)).toEqual([
      { id: 1, item: "tea", amount: 77 },
      { id: 2, item: "tea", amount: 2 },
    ]);
  });
});
