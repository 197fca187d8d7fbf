import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { BehaviorSubject } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Flow } from "../../../../operators/flow.ts";
import type { FailedAttempt } from "../../../../operators/retryBackoff.ts";
import type { Lsn } from "../../../../src/index.ts";
import { backfill } from "../../../../src/sources/postgres/index.ts";
import { TableReader } from "../../../../src/sources/postgres/snapshot/tableReader.ts";
import { upTo } from "../postgresBed.ts";
import { snapshotBed } from "./snapshotBed.ts";

const { bed, reading, fill } = snapshotBed();
const { query } = bed;

async function connected(): Promise<Client> {
  const client = new Client(bed.connectionString());
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

/** A reader of this bed's tables. */
function tableReader(): TableReader {
  const failed: unknown[] = [];
  const config = { connectionString: bed.connectionString() };
  const reader = new TableReader(config, bed.publication(), (error) => failed.push(error));
  onTestFinished(() => {
    reader.rest();
    expect(failed).toEqual([]);
  });
  return reader;
}

const orders = {
  schema: "public",
  name: "orders",
  after: undefined,
  isAnew: false,
  scope: "onward" as const,
};

describe("a snapshot of a table whose key becomes another one", () => {
  it.each([
    ["another column", "ADD PRIMARY KEY (code)"],
    ["another type", "ALTER id TYPE text, ADD PRIMARY KEY (id)"],
    ["more columns", "ADD PRIMARY KEY (id, code)"],
  ])("begins anew where it is %s", async (_, how) => {
    await query("DROP TABLE orders; CREATE TABLE orders (id int PRIMARY KEY, code text NOT NULL)");
    await query("INSERT INTO orders SELECT n, md5(n::text) FROM generate_series(1, 200) AS n");
    const first = reading();
    await first.has(200);
    first.unsubscribe();
    await bed.idle();
    await query(`ALTER TABLE orders DROP CONSTRAINT orders_pkey, ${how}`);

    const second = reading(first.position(99));
    await second.has(200);

    expect(second.failures).toEqual([]);
    expect(second.ids().toSorted((a, b) => a - b)).toEqual(upTo(200));
  });
});

describe("a snapshot by keys of every type", () => {
  it.each<[string, string]>([
    ["numeric", "n::numeric / 7"],
    ["float8", "CASE n WHEN 1 THEN 'NaN' WHEN 2 THEN '-0' WHEN 3 THEN '-Infinity' ELSE n / 7.0 END"],
    ["float4", "n / 7.0"],
    ["bytea", "decode(md5(n::text), 'hex')"],
    ["uuid", "md5(n::text)::uuid"],
    ["char(40)", "repeat('x', n % 3) || n"],
    ['"char"', 'n::text::"char"'],
    [
      "timestamptz",
      "CASE n WHEN 1 THEN 'infinity' WHEN 2 THEN '-infinity' ELSE 'epoch'::timestamptz + n * interval '1 us' END",
    ],
    ["timestamp", "'2000-01-01'::timestamp - n * interval '30 years'"],
    ["date", "CASE n WHEN 1 THEN 'infinity' ELSE '2000-01-01'::date + n END"],
    ["interval", "n * interval '1 day 1 us'"],
    ["timetz", "'00:00+01'::timetz + n * interval '1 s'"],
    ["jsonb", "to_jsonb(n)"],
    ["text[]", "ARRAY['a,', NULL, n::text, '\"']"],
    ["int4range", "int4range(n, n + 2)"],
    ["inet", "'10.0.0.0'::inet + n"],
    ["bit(12)", "n::bit(12)"],
    ["money", "n::money - 60::money"],
    ["pair", "row(n, 'a,\"' || n)::pair"],
    ["positive", "n"],
    ["folded", "CASE n % 2 WHEN 0 THEN 'A' ELSE 'b' END || n"],
    [
      "text",
      "CASE n WHEN 1 THEN '' WHEN 2 THEN '\\\\' WHEN 3 THEN '''' WHEN 4 THEN E'\\n' ELSE chr(n + 100) END",
    ],
  ])("%s", async (type, key) => {
    await query("CREATE TYPE pair AS (a int, b text); CREATE DOMAIN positive AS int CHECK (value > 0)");
    await query(
      "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE DOMAIN folded AS text COLLATE blind",
    );
    const isShort = type === '"char"';
    const rows = isShort ? 9 : 130;
    await query(
      `CREATE TABLE keyed (id int, more int, k ${type}, PRIMARY KEY (k) INCLUDE (more)); INSERT INTO keyed SELECT n, 0, (${key})::${type} FROM generate_series(1, ${rows}) AS n`,
    );
    const run = reading();
    await expect.poll(() => run.failures.concat(run.events)).not.toEqual([]);
    if (run.failures.length === 0) await run.has(rows);

    expect(run.failures).toEqual([]);
    expect(run.ids().toSorted((a, b) => a - b)).toEqual(upTo(rows));
  });

  it("all of them in one key, of a table with very many columns", async () => {
    const columns = upTo(1500).map((n) => `c${n} int DEFAULT ${n}`);
    await query(`CREATE TABLE wide (${columns.join()}, a text, b int, id int, PRIMARY KEY (b, c7, a))`);
    await query(
      "INSERT INTO wide (id, a, b) SELECT n, CASE n % 2 WHEN 0 THEN '' ELSE '~' END || n, n % 3 FROM generate_series(1, 300) AS n",
    );
    const run = reading();
    await run.has(300);

    expect(run.ids().toSorted((a, b) => a - b)).toEqual(upTo(300));
  });
});

describe("the reader of tables", () => {
  /** A user whom the database lets wait for nothing. */
  async function hasty(): Promise<string> {
    await query("DROP ROLE IF EXISTS hasty; CREATE ROLE hasty LOGIN SUPERUSER REPLICATION PASSWORD 'secret'");
    for (const setting of [
      "lock_timeout = '20ms'",
      "statement_timeout = '500ms'",
      "idle_in_transaction_session_timeout = '20ms'",
      "idle_session_timeout = '300ms'",
      "default_transaction_read_only = on",
      "default_transaction_isolation = serializable",
    ])
      await query(`ALTER ROLE hasty SET ${setting}`);
    return bed.connectionString().replace("postgres:secret", "hasty:secret");
  }

  it("tells rows from other answers, however many questions are asked at once", async () => {
    await fill(500);
    await query(`CREATE PUBLICATION ${bed.publication()} FOR TABLE orders`);
    const reader = tableReader();
    const [first, ...looks] = [reader.read(orders, 300), reader.look(), reader.look()];
    const second = reader.read(orders, 1000);
    const others = [reader.look(), reader.mark("word"), reader.look()];
    await Promise.all([...looks, ...others]);

    expect(await first).toMatchObject({ rows: { length: 300 }, isLast: false });
    expect(await second).toMatchObject({ rows: { length: 500 }, isLast: true });
  });

  it("leaves large rows to the next piece, and always tells one", async () => {
    await fill(200);
    await query("INSERT INTO orders SELECT n, repeat('x', 1000000), n FROM generate_series(201, 240) AS n");
    await query("INSERT INTO orders VALUES (241, repeat('x', 20000000), 1)");
    await query(`CREATE PUBLICATION ${bed.publication()} FOR TABLE orders`);
    const reader = tableReader();
    const found = await reader.read(orders, 20_000);
    expect(found).toMatchObject({ rows: { length: 208 }, isLast: false });
    const where = [["id", ">", "240"]] as const;
    const last = await reader.read({ ...orders, scope: where.map((each) => [...each]) }, 20_000);
    expect(last).toMatchObject({ rows: { length: 1 }, isLast: true });

    const run = reading();
    await run.has(241);
    expect(run.ids()).toEqual(upTo(241));
  });

  it("waits for a lock, whatever the database thinks of waiting, and the log goes on", async () => {
    const connectionString = await hasty();
    await fill(2);
    await query(
      `CREATE TABLE second (id int PRIMARY KEY); CREATE PUBLICATION ${bed.publication()} FOR ALL TABLES`,
    );
    await bed.openSlot();
    const flow = new BehaviorSubject<Flow>("pause");
    const lost: unknown[] = [];
    const position = `${await bed.confirmedLsn()}@public.orders` as Lsn;
    const run = reading(position, { connectionString, failed: { next: (each) => lost.push(each) } }, flow);
    await bed.reading();
    const altering = await connected();
    await altering.query("BEGIN; LOCK TABLE orders");
    flow.next("resume");
    await delay(700);
    await query("INSERT INTO second VALUES (1)");
    await run.has(1);
    await altering.query("COMMIT");
    await run.has(4);

    expect([run.failures, lost]).toEqual([[], []]);
    expect(run.events.map(({ op, source }) => `${op} ${source.table}`)).toEqual([
      "c second",
      "r orders",
      "r orders",
      "r second",
    ]);
  });

  it("begins once it may look at the tables", async () => {
    const connectionString = await hasty();
    await fill(1);
    await query(`CREATE PUBLICATION ${bed.publication()} FOR ALL TABLES`);
    const altering = await connected();
    await altering.query("BEGIN; LOCK TABLE orders");
    const lost: string[] = [];
    const failed = { next: ({ error }: FailedAttempt) => lost.push(`${error}`) };
    const run = reading(undefined, { connectionString, failed });
    await expect.poll(() => lost.join()).toContain("lock timeout");
    await altering.query("COMMIT");
    await run.has(1);

    expect(run.failures).toEqual([]);
  });

  it("takes a deadlock for what passes", async () => {
    await query("CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id)");
    await query(
      "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10); INSERT INTO parts VALUES (1)",
    );
    await query(
      `CREATE PUBLICATION ${bed.publication()} FOR TABLE parts WITH (publish_via_partition_root = true)`,
    );
    const client = await connected();
    await client.query("BEGIN; LOCK TABLE parts_1");
    const run = reading();
    await expect
      .poll(() => query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
      .toHaveLength(1);
    // Whoever waits for a second is the one that looks for a deadlock, and ends.
    await client.query("SET deadlock_timeout = '60s'; LOCK TABLE parts; COMMIT");
    await run.has(1);

    expect(run.failures).toEqual([]);
  });
});

describe("a request for rows that anybody may write into the log", () => {
  const write = (
    request: object,
    content = JSON.stringify({ slot: bed.slot(), isAnew: false, ...request }),
  ) => query(`SELECT pg_logical_emit_message(true, 'rxadd.backfill', '${content.replaceAll("'", "''")}')`);

  it("ends nothing, and holds nothing up", async () => {
    await fill(1);
    const lost: unknown[] = [];
    const run = reading(undefined, { snapshot: "onDemand", failed: { next: (each) => lost.push(each) } });
    await bed.reading();
    const table = { schema: "public", table: "orders" };
    await write({ ...table, scope: [["item", "=", "\0"]] });
    await write({ ...table, scope: [["\0", "=", "x"]] });
    await write({ ...table, table: "\0", scope: [] });
    await write({ ...table, table: "", schema: "", scope: [] });
    await write({ ...table, table: "x".repeat(100), scope: [] });
    await write({ ...table, schema: "\ud800", scope: [] });
    await write({ ...table, scope: [["item", "=", "\ud800"]] });
    await write({ ...table, scope: [["item", "=", "x".repeat(5_000)]] });
    await write({ ...table, scope: [] }, " ".repeat(3_000_000));
    await write({ schema: "pg_catalog", table: "pg_class_oid_index", scope: [] });
    await write({ schema: "pg_catalog", table: "pg_authid", scope: [] });
    await write({ ...table, where: Array.from({ length: 400 }, () => ["id", ">", "0"]) });
    await backfill({ connectionString: bed.connectionString(), slot: bed.slot(), table: "public.orders" });
    await run.has(1);
    await query("INSERT INTO orders VALUES (2)");
    await run.has(2);

    expect([run.failures, lost]).toEqual([[], []]);
    expect(run.events.map(({ op }) => op)).toEqual(["r", "c"]);
    expect(run.position(1)).toMatch(/^\w+\/\w+:1$/);
  });

  it("is refused at once by who asks", async () => {
    const at = { connectionString: bed.connectionString(), slot: bed.slot() };
    for (const asked of [{ table: "public.x\0" }, { table: "public.orders", where: "item = '\0'" }])
      await expect(backfill({ ...at, ...asked })).rejects.toMatchObject({
        ...{ _tag: "NotConfigured", message: expect.stringContaining("zero byte") },
      });
  });

  it("is heard by who stands right before it, and once by who stands in the middle of it", async () => {
    await fill(1);
    await bed.openSlot();
    await query(
      `BEGIN; INSERT INTO orders VALUES (2);
       SELECT pg_logical_emit_message(true, 'rxadd.backfill', '${JSON.stringify({ slot: bed.slot(), schema: "public", table: "orders", where: [], isAnew: false })}');
       INSERT INTO orders VALUES (3); COMMIT`,
    );
    const events = await bed.read(5, undefined, { snapshot: "onDemand" });
    const lsn = `${events[0]?.position}`.split(":")[0];

    for (const [index, from] of [lsn, `${lsn}:1`, events[1]?.position].entries()) {
      const run = reading(from as Lsn, { snapshot: "onDemand" });
      const read = () => run.events.filter(({ op }) => op === "r").map(({ after }) => after?.id);
      await expect.poll(() => read().length).toBeGreaterThanOrEqual(3 + index);
      await query(`INSERT INTO orders VALUES (${4 + index})`);
      await expect.poll(() => run.ids()).toContain(4 + index);
      expect(read()).toEqual(upTo(3 + index));
      expect(run.events.at(-1)?.position).not.toContain("@");
      run.unsubscribe();
      await bed.idle();
    }
  });
});
