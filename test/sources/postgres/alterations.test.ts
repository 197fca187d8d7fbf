import { NEVER } from "rxjs";
import { describe, expect, it } from "vitest";
import { postgresVersion } from "../../kit/servers/postgresServer.ts";
import { type Change, collect, postgresBed } from "./postgresBed.ts";

const bed = postgresBed();

/** What happened to which table, and to which row. */
function inShort({ op, source, before, after }: Change): readonly unknown[] {
  return [op, `${source.schema}.${source.table}`, before, after];
}

/**
 * Statements, each with what becomes of it, read while they are made and once more when all of them are: what is read later tells
 * of tables as they were.
 */
async function expectEvents(
  steps: readonly (readonly [sql: string, ...events: readonly (readonly unknown[])[]])[],
): Promise<void> {
  await bed.openSlot();
  const live = collect(bed.source()(undefined, NEVER));
  await bed.reading();
  let count = 0;
  for (const [sql, ...events] of steps) {
    await bed.query(sql);
    count += events.length;
    await live.has(count);
  }
  live.unsubscribe();
  await bed.idle();
  const expected = steps.flatMap(([, ...events]) => events);
  expect(live.failures).toEqual([]);
  expect(live.events.map(inShort)).toEqual(expected);
  expect(await bed.read(count)).toEqual(live.events);
}

const orders = "public.orders";

describe("a table that changes while it is read", () => {
  it("gets columns, and loses some, also within a transaction and beside changes", async () => {
    await expectEvents([
      ["INSERT INTO orders VALUES (1, 'a', 1)", ["c", orders, null, { id: 1, item: "a", amount: 1 }]],
      [
        `BEGIN; INSERT INTO orders VALUES (2, 'b', 2); ALTER TABLE orders ADD note text DEFAULT 'none';
         INSERT INTO orders VALUES (3, 'c', 3, 'new'); UPDATE orders SET amount = 9 WHERE id = 1; COMMIT`,
        ["c", orders, null, { id: 2, item: "b", amount: 2 }],
        ["c", orders, null, { id: 3, item: "c", amount: 3, note: "new" }],
        ["u", orders, null, { id: 1, item: "a", amount: 9, note: "none" }],
      ],
      ["ALTER TABLE orders DROP item"],
      ["UPDATE orders SET amount = 8 WHERE id = 1", ["u", orders, null, { id: 1, amount: 8, note: "none" }]],
      ["ALTER TABLE orders ADD item int"],
      ["DELETE FROM orders WHERE id = 1", ["d", orders, { id: 1 }, null]],
      [
        "INSERT INTO orders VALUES (4, 4, 'n', 44)",
        ["c", orders, null, { id: 4, amount: 4, note: "n", item: 44 }],
      ],
    ]);
  });

  it("has columns renamed, and of other types, with the values as they then are", async () => {
    await expectEvents([
      ["INSERT INTO orders VALUES (1, '12', 1)", ["c", orders, null, { id: 1, item: "12", amount: 1 }]],
      ["ALTER TABLE orders RENAME amount TO pieces"],
      ["UPDATE orders SET pieces = 2", ["u", orders, null, { id: 1, item: "12", pieces: 2 }]],
      // Rewrites the table, of which nothing is told.
      ["ALTER TABLE orders ALTER item TYPE numeric USING item::numeric, ALTER pieces TYPE text"],
      ["UPDATE orders SET pieces = 'x'", ["u", orders, null, { id: 1, item: "12", pieces: "x" }]],
      ["ALTER TABLE orders ALTER item TYPE int, ALTER pieces TYPE jsonb USING '{\"n\": 1}'"],
      ["UPDATE orders SET item = 13", ["u", orders, null, { id: 1, item: 13, pieces: { n: 1 } }]],
      ["CREATE TYPE size AS ENUM ('s', 'm'); ALTER TABLE orders ALTER pieces TYPE size USING 's'"],
      ["UPDATE orders SET pieces = 'm'", ["u", orders, null, { id: 1, item: 13, pieces: "m" }]],
      ["ALTER TYPE size RENAME VALUE 'm' TO 'medium'"],
      ["UPDATE orders SET item = 14", ["u", orders, null, { id: 1, item: 14, pieces: "medium" }]],
    ]);
  });

  it("has another primary key, of which the old row then tells", async () => {
    await expectEvents([
      [
        "INSERT INTO orders VALUES (1, 'a', 10), (2, 'b', 20)",
        ["c", orders, null, { id: 1, item: "a", amount: 10 }],
        ["c", orders, null, { id: 2, item: "b", amount: 20 }],
      ],
      ["UPDATE orders SET id = 3 WHERE id = 1", ["u", orders, { id: 1 }, { id: 3, item: "a", amount: 10 }]],
      ["ALTER TABLE orders DROP CONSTRAINT orders_pkey, ADD PRIMARY KEY (item, amount)"],
      ["UPDATE orders SET id = 4 WHERE id = 3", ["u", orders, null, { id: 4, item: "a", amount: 10 }]],
      [
        "UPDATE orders SET amount = 11 WHERE id = 4",
        ["u", orders, { item: "a", amount: 10 }, { id: 4, item: "a", amount: 11 }],
      ],
      ["DELETE FROM orders WHERE id = 4", ["d", orders, { item: "a", amount: 11 }, null]],
      ["ALTER TABLE orders REPLICA IDENTITY FULL"],
      [
        "UPDATE orders SET id = 5",
        ["u", orders, { id: 2, item: "b", amount: 20 }, { id: 5, item: "b", amount: 20 }],
      ],
      [
        "ALTER TABLE orders ADD UNIQUE (id), ALTER id SET NOT NULL; ALTER TABLE orders REPLICA IDENTITY USING INDEX orders_id_key",
      ],
      ["DELETE FROM orders", ["d", orders, { id: 5 }, null]],
    ]);
  });

  it("gets another name or schema, or is another one of the same name", async () => {
    await bed.query("DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop");
    const row = { id: 1, item: "a", amount: 1 };
    await expectEvents([
      ["INSERT INTO orders VALUES (1, 'a', 1)", ["c", orders, null, row]],
      ["ALTER TABLE orders RENAME TO sales"],
      ["UPDATE sales SET amount = 1", ["u", "public.sales", null, row]],
      ["ALTER TABLE sales SET SCHEMA shop"],
      ["DELETE FROM shop.sales", ["d", "shop.sales", { id: 1 }, null]],
      ["CREATE TABLE orders (no text PRIMARY KEY)"],
      ["INSERT INTO orders VALUES ('x')", ["c", orders, null, { no: "x" }]],
      ["DROP TABLE orders; CREATE TABLE orders (id int PRIMARY KEY, no int)"],
      ["INSERT INTO orders VALUES (1, 2)", ["c", orders, null, { id: 1, no: 2 }]],
    ]);
    await bed.query("DROP SCHEMA shop CASCADE");
  });

  it.skipIf(postgresVersion < 18)(
    "has a schema with another name, which PostgreSQL before 18 tells later",
    async () => {
      await bed.query("CREATE SCHEMA shop; CREATE TABLE shop.items (id int PRIMARY KEY)");
      await expectEvents([
        ["INSERT INTO shop.items VALUES (1)", ["c", "shop.items", null, { id: 1 }]],
        ["ALTER SCHEMA shop RENAME TO store"],
        ["INSERT INTO store.items VALUES (2)", ["c", "store.items", null, { id: 2 }]],
      ]);
      await bed.query("DROP SCHEMA store CASCADE");
    },
  );

  it("tells nothing of a transaction that altered it and was rolled back", async () => {
    await expectEvents([
      ["BEGIN; ALTER TABLE orders ADD note text, DROP item; INSERT INTO orders VALUES (1, 1, 'x'); ROLLBACK"],
      ["INSERT INTO orders VALUES (1, 'a', 1)", ["c", orders, null, { id: 1, item: "a", amount: 1 }]],
      [
        "BEGIN; SAVEPOINT a; ALTER TABLE orders ADD note text; INSERT INTO orders VALUES (2, 'b', 2, 'x'); ROLLBACK TO a; INSERT INTO orders VALUES (2, 'b', 2); COMMIT",
        ["c", orders, null, { id: 2, item: "b", amount: 2 }],
      ],
    ]);
  });
});

describe("a publication that changes while it is read", () => {
  it("gets tables, and loses some: each counts from then on", async () => {
    await bed.query("CREATE TABLE items (id int PRIMARY KEY)");
    await bed.query(`CREATE PUBLICATION ${bed.publication()} FOR TABLE orders`);
    const alter = (how: string) => `ALTER PUBLICATION ${bed.publication()} ${how}`;
    await expectEvents([
      [
        "INSERT INTO items VALUES (1); INSERT INTO orders VALUES (1)",
        ["c", orders, null, { id: 1, item: null, amount: null }],
      ],
      [alter("ADD TABLE items")],
      ["INSERT INTO items VALUES (2)", ["c", "public.items", null, { id: 2 }]],
      [alter("DROP TABLE orders")],
      ["INSERT INTO orders VALUES (2); INSERT INTO items VALUES (3)", ["c", "public.items", null, { id: 3 }]],
      [alter("SET TABLE orders (id, item)")],
      ["INSERT INTO orders VALUES (3, 'a', 3)", ["c", orders, null, { id: 3, item: "a" }]],
      [alter("SET TABLE orders WHERE (id > 9)")],
      [
        "INSERT INTO orders VALUES (4, 'a', 1), (10, 'b', 1)",
        ["c", orders, null, { id: 10, item: "b", amount: 1 }],
      ],
      [alter("SET (publish = 'insert')")],
      [
        "UPDATE orders SET amount = 2 WHERE id = 10; INSERT INTO orders VALUES (11, 'c', 1)",
        ["c", orders, null, { id: 11, item: "c", amount: 1 }],
      ],
      [`${alter("SET TABLE orders")}; ${alter("SET (publish = 'insert, update')")}`],
      ["UPDATE orders SET amount = 3 WHERE id = 11", ["u", orders, null, { id: 11, item: "c", amount: 3 }]],
    ]);
  });
});
