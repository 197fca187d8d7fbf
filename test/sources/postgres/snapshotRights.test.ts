import { NEVER } from "rxjs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backfill, type PostgresOptions } from "../../../src/sources/postgres/index.ts";
import { collect, postgresBed } from "./postgresBed.ts";

const bed = postgresBed();
const { query } = bed;

beforeEach(async () => {
  await query("CREATE ROLE copier LOGIN PASSWORD 'copier' REPLICATION");
  await query("CREATE ROLE clerk LOGIN PASSWORD 'clerk'");
  await query("GRANT USAGE ON SCHEMA public TO copier");
  await query("INSERT INTO orders VALUES (1, 'tea', 1), (2, 'milk', 2)");
});
/** Ends before the bed looks whether the slot is free. */
let stop = () => {};
afterEach(async () => {
  stop();
  await bed.idle();
  await query(`DROP PUBLICATION IF EXISTS ${bed.publication()}`);
  await query("DROP OWNED BY copier, clerk");
  await query("DROP ROLE copier, clerk");
});

const uriOf = (user: string) => bed.connectionString().replace("postgres:secret", `${user}:${user}`);

function reading(options: Partial<PostgresOptions> = {}) {
  const connectionString = uriOf("copier");
  const own = { connectionString, snapshot: "initial", acceptHole: false, maxRetries: 0 } as const;
  const run = collect(bed.source({ ...own, ...options })(undefined, NEVER));
  stop = run.unsubscribe;
  return run;
}

describe("the rights that a snapshot needs", () => {
  it("are REPLICATION, SELECT on the tables, and a publication that stands", async () => {
    await query(`CREATE PUBLICATION ${bed.publication()} FOR TABLE orders`);
    await query("GRANT SELECT ON orders TO copier");

    const run = reading();
    await run.has(2);
    await query("INSERT INTO orders VALUES (3, 'bread', 3)");
    await run.has(3);

    expect(run.failures).toEqual([]);
    expect(run.events.map(({ op }) => op)).toEqual(["r", "r", "c"]);
  });

  it("are those of the tables' owner where the publication is to be made", async () => {
    await query("ALTER TABLE orders OWNER TO copier");
    await query("GRANT CREATE ON DATABASE postgres TO copier");

    const run = reading({ tables: ["public.orders"] });
    await run.has(2);

    expect(run.failures).toEqual([]);
  });

  it.each<[string, string, string]>([
    [
      "SELECT",
      "REVOKE ALL ON orders FROM copier",
      "snapshot: table public.orders: permission denied for table orders; GRANT SELECT ON it",
    ],
    [
      "BYPASSRLS where a policy hides rows",
      "ALTER TABLE orders ENABLE ROW LEVEL SECURITY; GRANT SELECT ON orders TO copier",
      'snapshot: table public.orders: query would be affected by row-level security policy for table "orders"',
    ],
  ])("are missed by name: %s", async (_case, sql, message) => {
    await query(`CREATE PUBLICATION ${bed.publication()} FOR TABLE orders`);
    await query(sql);

    const run = reading();
    await expect.poll(() => run.failures).toHaveLength(1);

    expect(run.failures[0]).toMatchObject({
      _tag: "PermissionDenied",
      message: expect.stringContaining(message),
    });
    expect(run.events).toEqual([]);
  });

  it("are none for who asks for rows: to connect is enough", async () => {
    await query(`CREATE PUBLICATION ${bed.publication()} FOR TABLE orders`);
    await query("GRANT SELECT ON orders TO copier");
    const run = reading({ snapshot: "onDemand" });
    await bed.reading();

    await backfill({
      ...{ connectionString: uriOf("clerk"), slot: bed.slot(), table: "public.orders" },
      where: "item = 'milk'",
    });
    await run.has(1);

    expect(run.ids()).toEqual([2]);
  });
});

it("a table that comes to the publication under way is read when somebody asks", async () => {
  await query(`CREATE PUBLICATION ${bed.publication()} FOR TABLE orders`);
  await query("CREATE TABLE customers (id int PRIMARY KEY)");
  await query("INSERT INTO customers VALUES (7)");
  await query("GRANT SELECT ON orders, customers TO copier");
  const run = reading();
  await run.has(2);

  await query(`ALTER PUBLICATION ${bed.publication()} ADD TABLE customers`);
  await query("INSERT INTO customers VALUES (8)");
  await run.has(3);
  await backfill({ connectionString: uriOf("copier"), slot: bed.slot(), table: "public.customers" });
  await run.has(5);

  expect(run.events.slice(2).map(({ op, after }) => [op, after?.id])).toEqual([
    ["c", 8],
    ["r", 7],
    ["r", 8],
  ]);
});
