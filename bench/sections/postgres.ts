import { fork } from "node:child_process";
import { once } from "node:events";
import { createHistogram } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { Client } from "pg";
import { bundled } from "../../test/kit/program/bundled.ts";
import { startPostgres } from "../../test/kit/servers/postgresServer.ts";
import { paced } from "../paced.ts";
import type { Drained } from "../postgresProcess.ts";
import { median } from "../race.ts";
import { percentiles, type Row, rounded } from "../row.ts";
import type { Settings } from "../section.ts";

/** Rows of about 115 bytes, as many a transaction as it is told. */
const schema = `
CREATE TABLE orders (id bigint PRIMARY KEY, customer text, total numeric, status text, note text, updated_at timestamptz);
CREATE PUBLICATION rxadd FOR TABLE orders;
CREATE PROCEDURE fill(rows int, each int) LANGUAGE plpgsql AS $$
BEGIN
  FOR part IN 0 .. rows / each - 1 LOOP
    INSERT INTO orders SELECT n, 'customer-' || n % 1000, (n % 9973) / 100.0, 'paid', repeat('x', 40), now()
      FROM generate_series(part * each + 1, (part + 1) * each) AS n;
    COMMIT;
  END LOOP;
END $$`;

const stream = `rxadd-bench-${process.pid}`;
const state = `{${stream}}:rxadd:bench`;

/** What a run is made of. */
interface Beds {
  readonly connectionString: string;
  readonly client: Client;
  readonly redis: Redis;
  readonly uri: string;
}

const slot = "bench";

/** Starts the program that brings a slot's changes, or rows by so many connections, into the stream, until so many have come. */
async function replicating({ connectionString, uri }: Beds, rows: number, connections: number) {
  const program = await bundled(new URL("../postgresProcess.ts", import.meta.url));
  return fork(program, [connectionString, slot, uri, stream, `${rows}`, `${connections}`], { execArgv: [] });
}

/** Does what leaves a slot and a stream behind. */
async function withSlot<A>({ client, redis }: Beds, work: () => Promise<A>): Promise<A> {
  try {
    return await work();
  } finally {
    while ((await client.query("SELECT FROM pg_replication_slots WHERE active")).rowCount) await delay(20);
    await client.query("SELECT pg_drop_replication_slot($1)", [slot]);
    await redis.del(stream, state, `${state}:mark`);
  }
}

/** Empties the table, and makes the slot anew, from which nothing is read before `work` is done. */
async function withNewSlot<A>(beds: Beds, work: () => Promise<A>): Promise<A> {
  await beds.client.query("TRUNCATE orders");
  await beds.client.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [slot]);
  return withSlot(beds, work);
}

/** How fast so many are brought over. */
async function drained(beds: Beds, rows: number, connections = 0): Promise<Drained> {
  const child = await replicating(beds, rows, connections);
  let drained: Drained | undefined;
  child.on("message", (told: Drained | "opened") => {
    if (told !== "opened") drained = told;
  });
  await once(child, "exit");
  if (drained === undefined) throw new Error("the process ended before all rows were there");
  const found = await beds.redis.xlen(stream);
  if (found !== rows) throw new Error(`found ${found} entries, expected ${rows}`);
  return drained;
}

function drainedRow(rows: number, rounds: readonly Drained[]): Omit<Row, "section" | "name"> {
  const rates = rounds.map(({ seconds }) => Math.round(rows / seconds));
  return {
    "rows/s": median(rates),
    spread: `${Math.min(...rates).toLocaleString("en")}–${Math.max(...rates).toLocaleString("en")}`,
    "client µs/row": rounded((median(rounds.map(({ cpuSeconds }) => cpuSeconds)) * 1e6) / rows),
    "peak MiB": Math.round(Math.max(...rounds.map(({ peakMiB }) => peakMiB))),
  };
}

/** From the sending of an INSERT until its entry has been read, at so many transactions a second. */
function latencies(beds: Beds, perSecond: number, seconds: number) {
  return withNewSlot(beds, async () => {
    const count = perSecond * seconds;
    const histogram = createHistogram();
    const child = await replicating(beds, count, 0);
    await once(child, "message");
    const sentMs = new Float64Array(count + 1);
    const reading = readAll(beds.uri, count, (id) => {
      const ns = Math.round((performance.now() - (sentMs[id] ?? 0)) * 1e6);
      // The first quarter warms up.
      if (id > count / 4) histogram.record(Math.max(1, ns));
    });
    const writing: Promise<unknown>[] = [];
    await paced(perSecond, count, (id) => {
      sentMs[id] = performance.now();
      const text = "INSERT INTO orders VALUES ($1, 'customer', 1, 'paid', 'x', now())";
      writing.push(beds.client.query({ name: "insert", text, values: [id] }));
    });
    await Promise.all([...writing, reading, once(child, "exit")]);
    return histogram;
  });
}

/** Reads the stream as it grows, and tells the `id` of each row. */
async function readAll(uri: string, count: number, told: (id: number) => void): Promise<void> {
  const redis = new Redis(uri);
  let last = "0-0";
  for (let read = 0; read < count; ) {
    const reply = await redis.xread("BLOCK", 5000, "STREAMS", stream, last);
    for (const [entryId, [, json = ""]] of reply?.[0]?.[1] ?? []) {
      told(Number(JSON.parse(json).after.id));
      last = entryId;
      read += 1;
    }
  }
  await redis.quit();
}

/** Starts a PostgreSQL with the table. */
async function* withBeds(uri: string, rows: (beds: Beds) => AsyncIterable<Row>): AsyncGenerator<Row> {
  const server = await startPostgres({ max_wal_size: "8GB" });
  const { connectionString } = server;
  const client = new Client({ connectionString });
  const redis = new Redis(uri);
  try {
    await client.connect();
    await client.query(schema);
    yield* rows({ connectionString, client, redis, uri });
  } finally {
    await client.end();
    await redis.quit();
    await server.stop();
  }
}

const wholeParts = (events: number) => Math.ceil(events / 10_000) * 10_000;

/** From PostgreSQL, with logical replication, into a stream. */
export function postgres({ uri, events, rounds }: Settings): AsyncGenerator<Row> {
  return withBeds(uri, async function* (beds) {
    for (const each of [1, 100, 10_000]) {
      const rows = wholeParts(events);
      const all: Drained[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const drain = async () => {
          await beds.client.query("CALL fill($1, $2)", [rows, each]);
          return drained(beds, rows);
        };
        all.push(await withNewSlot(beds, drain));
      }
      const name = `${each.toLocaleString("en")} rows a transaction`;
      yield { section: "postgres", name, ...drainedRow(rows, all) };
    }
    for (const perSecond of [100, 1_000]) {
      const name = "INSERT → entry read";
      const figures = percentiles(await latencies(beds, perSecond, 10));
      yield { section: "postgres-latency", name, "transactions/s": perSecond, ...figures };
    }
  });
}

/** Rows that are there already, into a stream: of one table, and of four at a time. */
export function snapshot({ uri, events, rounds }: Settings): AsyncGenerator<Row> {
  return withBeds(uri, async function* (beds) {
    const rows = wholeParts(events);
    await beds.client.query("CALL fill($1, 10000)", [rows]);
    async function* read(name: string, connections: number) {
      const all: Drained[] = [];
      for (let round = 0; round < rounds; round += 1)
        all.push(await withSlot(beds, () => drained(beds, rows, connections)));
      yield { section: "snapshot", name, ...drainedRow(rows, all) };
    }
    yield* read("rows that are there", 1);
    const parts = [1, 2, 3, 4].map((part) => `part_${part}`);
    for (const part of parts) await beds.client.query(`CREATE TABLE ${part} (LIKE orders INCLUDING ALL)`);
    await beds.client.query(
      parts.map((part, at) => `INSERT INTO ${part} SELECT * FROM orders WHERE id % 4 = ${at}`).join(";"),
    );
    await beds.client.query(`ALTER PUBLICATION rxadd SET TABLE ${parts}`);
    yield* read("four tables side by side", 4);
  });
}
