import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import type { Random } from "./random.ts";

/** A table whose rows are changed: its key is made of a number. */
export interface Shape {
  readonly table: string;
  /** Its columns of the key, as in CREATE TABLE. */
  readonly columns: string;
  readonly key: readonly string[];
  /** SQL of the key's values, of SQL of a number. */
  readonly keyOf: (n: string | number) => string;
  /** How many tables it is made of, by its key. Default: it is one. */
  readonly partitions?: number;
}

/** A column that stands outside of its row, and that most updates leave alone. */
const large = (n: string | number) => `repeat(md5((${n})::text), 80)`;

/** Makes it, with so many rows; every 20th has a large column. */
export async function makeTable(client: Client, shape: Shape, rows: number): Promise<void> {
  const { table, columns, key, keyOf, partitions = 0 } = shape;
  const by = partitions === 0 ? "" : ` PARTITION BY HASH (${key})`;
  await client.query(
    `CREATE TABLE ${table} (${columns}, version int, amount int, note text, PRIMARY KEY (${key}))${by}`,
  );
  await client.query(`ALTER TABLE ${table} ALTER note SET STORAGE EXTERNAL`);
  for (let part = 0; part < partitions; part += 1)
    await client.query(
      `CREATE TABLE ${table}_${part} PARTITION OF ${table} FOR VALUES WITH (MODULUS ${partitions}, REMAINDER ${part})`,
    );
  await client.query(
    `INSERT INTO ${table} SELECT ${keyOf("n")}, 1, n % 100, CASE WHEN n % 20 = 0 THEN ${large("n")} ELSE 'x' END
       FROM generate_series(1, ${rows}) AS n`,
  );
}

/** A change to a few rows; each raises the row's version by one, or begins it anew. */
function statement(
  { table, key, keyOf, partitions }: Shape,
  rows: number,
  { between, oneOf }: Random,
): string {
  // As many keys again as there are rows: inserted, moved to.
  const some = () => between(1, 2 * rows);
  const which = (count: number) =>
    `(${key}) IN (${Array.from({ length: count }, () => `(${keyOf(some())})`)})`;
  const set = (what: string) => `UPDATE ${table} SET ${what}, version = version + 1 WHERE`;
  const [from, to] = [keyOf(some()), keyOf(some())];
  return oneOf(
    `${set(`amount = ${between(0, 99)}`)} ${which(5)}`,
    `${set(`amount = amount + 1`)} ${which(3)}`,
    `${set(`note = ${large(between(1, 1e9))}`)} ${which(1)}`,
    // What moves to another partition is a row that begins, to the log.
    partitions !== undefined
      ? "SELECT"
      : `${set(`(${key}) = ROW(${to})`)} (${key}) = (${from}) AND NOT EXISTS (SELECT FROM ${table} WHERE (${key}) = (${to}))`,
    `DELETE FROM ${table} WHERE ${which(2)}`,
    `INSERT INTO ${table} VALUES (${keyOf(some())}, 1, 1, ${large(between(1, 1e9))}), (${keyOf(some())}, 1, 2, 'y')
       ON CONFLICT DO NOTHING`,
  );
}

/**
 * Changes rows from three connections, one of them in long transactions, until it is told to end; over restarts of the
 * server.
 */
export function startWork(
  connectionString: string,
  shape: Shape,
  rows: number,
  random: Random,
): () => Promise<void> {
  const { between, oneOf } = random;
  let isWorking = true;
  const more = () => statement(shape, rows, random);
  const end = () => oneOf("COMMIT", "COMMIT", "COMMIT", "ROLLBACK");

  async function changeAtOnce(client: Client): Promise<void> {
    await client.query(["BEGIN", ...Array.from({ length: between(1, 4) }, more), end()].join(";"));
    await delay(between(0, 5));
  }
  async function changeSlowly(client: Client): Promise<void> {
    await client.query("BEGIN");
    for (let count = between(2, 6); count > 0; count -= 1) {
      await client.query(more());
      await delay(between(0, 200));
    }
    await client.query(end());
  }
  async function worker(change: (client: Client) => Promise<void>): Promise<void> {
    while (isWorking) {
      const client = new Client({ connectionString, options: "-c deadlock_timeout=100" });
      client.on("error", () => {});
      try {
        await client.connect();
        while (isWorking) await change(client);
      } catch {
        // Two wanted the same rows, or the server is away.
        await delay(20);
      } finally {
        await client.end().catch(() => {});
      }
    }
  }
  const workers = [changeAtOnce, changeAtOnce, changeSlowly].map(worker);
  return async () => {
    isWorking = false;
    await Promise.all(workers);
  };
}

/** Changes a hundred rows at a time, so many a second, until it is told to end. */
export function startUpdates(
  connectionString: string,
  { table, key, keyOf }: Shape,
  rows: number,
  perSecond: number,
): () => Promise<void> {
  const each = 100;
  let isWorking = true;
  async function work(): Promise<void> {
    const client = new Client(connectionString);
    await client.connect();
    const startMs = performance.now();
    for (let done = 0; isWorking; done += each) {
      const keys = Array.from({ length: each }, (_, index) => `(${keyOf(((done * 7 + index) % rows) + 1)})`);
      await client.query(`UPDATE ${table} SET amount = 7, version = version + 1 WHERE (${key}) IN (${keys})`);
      await delay(Math.max(0, startMs + (done * 1000) / perSecond - performance.now()));
    }
    await client.end();
  }
  const working = work();
  return () => {
    isWorking = false;
    return working;
  };
}
