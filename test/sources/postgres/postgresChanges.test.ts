import { describe, expect, it } from "vitest";
import { isLsn, type Lsn, ordLsn } from "../../../src/index.ts";
import { postgresBed } from "./postgresBed.ts";

const bed = postgresBed();

describe("postgresChanges", () => {
  it("emits inserts, updates, deletes and truncates of a transaction, in order, with the last one marked", async () => {
    await bed.openSlot();
    await bed.query(`BEGIN;
      INSERT INTO orders VALUES (1, 'tea', 2);
      UPDATE orders SET amount = 3;
      DELETE FROM orders;
      TRUNCATE orders;
      COMMIT`);

    const events = await bed.read(4);

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

  it("keeps the changes of several tables in the order in which they were made", async () => {
    await bed.query("CREATE SCHEMA IF NOT EXISTS shop; DROP TABLE IF EXISTS shop.items");
    await bed.query("CREATE TABLE shop.items (id int PRIMARY KEY)");
    await bed.openSlot();
    await bed.query(
      "BEGIN; INSERT INTO orders VALUES (1); INSERT INTO shop.items VALUES (1); INSERT INTO orders VALUES (2); COMMIT",
    );
    await bed.query("TRUNCATE orders, shop.items");

    const events = await bed.read(5);

    expect(events.map(({ op, source }) => `${op} ${source.schema}.${source.table}`)).toEqual([
      "c public.orders",
      "c shop.items",
      "c public.orders",
      "t public.orders",
      "t shop.items",
    ]);
    expect(events.map(({ transaction }) => transaction?.last)).toEqual([false, false, true, false, true]);
    await bed.query("DROP SCHEMA shop CASCADE");
  });

  it("has the whole row before a change under REPLICA IDENTITY FULL", async () => {
    await bed.query("ALTER TABLE orders REPLICA IDENTITY FULL");
    await bed.openSlot();
    await bed.query("INSERT INTO orders VALUES (1, 'tea', 2)");
    await bed.query("UPDATE orders SET amount = 3");
    await bed.query("DELETE FROM orders");

    const [, update, remove] = await bed.read(3);

    expect(update?.before).toEqual({ id: 1, item: "tea", amount: 2 });
    expect(remove?.before).toEqual({ id: 1, item: "tea", amount: 3 });
  });

  it("has the old key before an update of the key", async () => {
    await bed.openSlot();
    await bed.query("INSERT INTO orders VALUES (1, 'tea', 2)");
    await bed.query("UPDATE orders SET id = 2");

    const [, update] = await bed.read(2);

    expect(update).toMatchObject({ op: "u", before: { id: 1 }, after: { id: 2 } });
  });

  it("names large columns that an update did not touch, instead of a value", async () => {
    await bed.query("CREATE TABLE docs (id int PRIMARY KEY, title text, body text)");
    await bed.query("ALTER TABLE docs ALTER body SET STORAGE EXTERNAL");
    await bed.openSlot();
    await bed.query("INSERT INTO docs VALUES (1, 'a', repeat('x', 10000))");
    await bed.query("UPDATE docs SET title = 'b'");

    const [, update] = await bed.read(2);

    expect(update?.after).toEqual({ id: 1, title: "b" });
    expect(update?.source.unchanged).toEqual(["body"]);
  });

  it("takes large columns that an update did not touch from the old row, where there is one", async () => {
    await bed.query("CREATE TABLE docs (id int PRIMARY KEY, title text, body text)");
    await bed.query("ALTER TABLE docs ALTER body SET STORAGE EXTERNAL, REPLICA IDENTITY FULL");
    await bed.openSlot();
    await bed.query("INSERT INTO docs VALUES (1, 'a', repeat('x', 10000))");
    await bed.query("UPDATE docs SET title = 'b'");

    const [, update] = await bed.read(2);

    expect(update?.after).toEqual({ id: 1, title: "b", body: "x".repeat(10_000) });
    expect(update?.source).not.toHaveProperty("unchanged");
  });

  it("knows a column that was added while it reads", async () => {
    await bed.openSlot();
    await bed.query("INSERT INTO orders VALUES (1, 'a', 1)");
    await bed.query("ALTER TABLE orders ADD note jsonb");
    await bed.query(`INSERT INTO orders VALUES (2, 'b', 2, '{"gift": true}')`);

    const [, event] = await bed.read(2);

    expect(event?.after).toEqual({ id: 2, item: "b", amount: 2, note: { gift: true } });
  });

  it("keeps values exact and fit for JSON, whatever the database's settings", async () => {
    await bed.query(`CREATE TYPE mood AS ENUM ('good', 'bad')`);
    await bed.query(`CREATE TABLE kinds (id int PRIMARY KEY, big bigint, huge bigint, exact numeric, real float8,
      nan float8, yes bool, doc jsonb, day date, moment timestamptz, local timestamp, forever timestamp, span interval,
      bytes bytea, uuid uuid, mood mood, nothing text)`);
    await bed.query(
      "ALTER ROLE postgres SET datestyle = 'SQL, DMY'; ALTER ROLE postgres SET timezone = 'Asia/Kolkata'",
    );
    try {
      await bed.openSlot();
      await bed.query(`INSERT INTO kinds VALUES (1, 42, 9007199254740993, 0.10, 1.5, 'NaN', true, '{"a": [1]}',
        '2026-01-31', '2026-01-31 12:00:00.123456+00', '2026-01-31 12:00:00', 'infinity', '1 day 2 hours', '\\x00ff',
        '123e4567-e89b-12d3-a456-426614174000', 'good', NULL)`);

      const [event] = await bed.read(1);

      expect(JSON.parse(JSON.stringify(event?.after))).toEqual({
        id: 1,
        big: 42,
        huge: "9007199254740993",
        exact: "0.10",
        real: 1.5,
        nan: "NaN",
        yes: true,
        doc: { a: [1] },
        day: "2026-01-31",
        moment: "2026-01-31T12:00:00.123456+00:00",
        local: "2026-01-31T12:00:00",
        forever: "infinity",
        span: "1 day 02:00:00",
        bytes: "\\x00ff",
        uuid: "123e4567-e89b-12d3-a456-426614174000",
        mood: "good",
        nothing: null,
      });
    } finally {
      await bed.query("ALTER ROLE postgres RESET ALL");
    }
  });

  it("keeps what JSON numbers cannot hold as text, and money as text that no setting changes", async () => {
    const huge = `1${"0".repeat(400)}`;
    await bed.query("CREATE TABLE sums (id int PRIMARY KEY, doc json, docb jsonb, docs json[], price money)");
    await bed.openSlot();
    await bed.query(`INSERT INTO sums VALUES (1, '{"a": 1e400, "b": "1e400 \\" 2", "c": [-1e999, 5]}', '{"a": 1e400}',
      ARRAY['1E+400', '1e10']::json[], 1234.5)`);

    const [event] = await bed.read(1);

    expect(event?.after).toEqual({
      id: 1,
      doc: { a: "1e400", b: '1e400 " 2', c: ["-1e999", 5] },
      docb: { a: huge },
      docs: ["1E+400", 1e10],
      price: "$1,234.50",
    });
  });

  it("makes arrays of arrays", async () => {
    await bed.query(`CREATE TABLE lists (id int PRIMARY KEY, ints int[], bigs bigint[], matrix int[][], words text[],
      flags bool[], docs jsonb[], moments timestamptz[], empty text[])`);
    await bed.openSlot();
    await bed.query(`INSERT INTO lists VALUES (1, '{1,NULL,3}', '{1,9007199254740993}', '{{1,2},{3,4}}',
      ARRAY['a', 'b,"c"', 'NULL', NULL], '{t,f}', ARRAY['{"a":[1]}']::jsonb[], '{2026-01-31 12:00:00+00}', '{}')`);

    const [event] = await bed.read(1);

    expect(event?.after).toEqual({
      id: 1,
      ints: [1, null, 3],
      bigs: [1, "9007199254740993"],
      matrix: [
        [1, 2],
        [3, 4],
      ],
      words: ["a", 'b,"c"', "NULL", null],
      flags: [true, false],
      docs: [{ a: [1] }],
      moments: ["2026-01-31T12:00:00+00:00"],
      empty: [],
    });
  });

  it("emits nothing of a transaction that is rolled back, and only of the tables asked for", async () => {
    await bed.query("CREATE TABLE other (id int PRIMARY KEY)");
    await bed.openSlot({ tables: ["public.orders"] });
    await bed.query("BEGIN; INSERT INTO orders VALUES (1, 'no', 1); ROLLBACK");
    await bed.query("BEGIN; INSERT INTO orders VALUES (1, 'no', 1); SAVEPOINT s; ROLLBACK TO s; ROLLBACK");
    await bed.query("INSERT INTO other VALUES (1)");
    await bed.query(
      "BEGIN; INSERT INTO orders VALUES (2, 'yes', 1); SAVEPOINT s; INSERT INTO orders VALUES (3); ROLLBACK TO s; COMMIT",
    );

    const [event] = await bed.read(1);

    expect(event).toMatchObject({
      after: { id: 2, item: "yes", amount: 1 },
      transaction: { total_order: 1, last: true },
    });
  });

  it("gives the same ids and increasing positions on every replay", async () => {
    await bed.openSlot();
    for (let id = 1; id <= 5; id += 1) {
      await bed.query(
        `BEGIN; INSERT INTO orders VALUES (${id}, 'a', 1); UPDATE orders SET amount = 2 WHERE id = ${id}; COMMIT`,
      );
    }

    const first = await bed.read(10);
    const second = await bed.read(10);

    expect(second).toEqual(first);
    const positions = first.map(({ position }) => position as Lsn);
    expect(positions.every(isLsn)).toBe(true);
    expect(positions).toEqual([...positions].sort(ordLsn.compare));
    expect(new Set(positions).size).toBe(10);
    expect(new Set(first.map(({ id }) => id)).size).toBe(10);
  });
});
