import { fork } from "node:child_process";
import { on, once } from "node:events";
import { createHistogram } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { Client } from "pg";
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

/** Starts the program that brings a slot's changes into the stream, until so many have come. */
function replicating({ connectionString, uri }: Beds, slot: string, rows: number) {
  const program = new URL("../postgresProcess.ts", import.meta.url);
  return fork(program, [connectionString, slot, uri, stream, `${rows}`]);
}

/** Makes the slot anew, from which nothing is read before `work` is done. */
async function withSlot<A>({ client, redis }: Beds, work: (slot: string) => Promise<A>): Promise<A> {
  await client.query("TRUNCATE orders");
  await client.query("SELECT pg_create_logical_replication_slot('bench', 'pgoutput')");
  try {
    return await work("bench");
  } finally {
    while ((await client.query("SELECT FROM pg_replication_slots WHERE active")).rowCount) await delay(20);
    await client.query("SELECT pg_drop_replication_slot('bench')");
    await redis.del(stream, state, `${state}:mark`);
  }
}

/** How fast changes that are there already are brought over. */
function drain(beds: Beds, rows: number, each: number): Promise<Drained> {
  return withSlot(beds, async (slot) => {
    await beds.client.query("CALL fill($1, $2)", [rows, each]);
    const child = replicating(beds, slot, rows);
    for await (const [told] of on(child, "message")) {
      if (told === "opened") continue;
      await once(child, "exit");
      const found = await beds.redis.xlen(stream);
      if (found !== rows) throw new Error(`found ${found} entries, expected ${rows}`);
      return told;
    }
    throw new Error("the process ended before all rows were there");
  });
}

/** From the sending of an INSERT until its entry has been read, at so many transactions a second. */
function latencies(beds: Beds, perSecond: number, seconds: number) {
  return withSlot(beds, async (slot) => {
    const count = perSecond * seconds;
    const histogram = createHistogram();
    const child = replicating(beds, slot, count);
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

/** From PostgreSQL, with logical replication, into a stream. */
export async function* postgres({ uri, events, rounds }: Settings): AsyncGenerator<Row> {
  const server = await startPostgres({ max_wal_size: "8GB" });
  const { connectionString } = server;
  const client = new Client({ connectionString });
  const redis = new Redis(uri);
  try {
    await client.connect();
    await client.query(schema);
    const beds = { connectionString, client, redis, uri };
    for (const each of [1, 100, 10_000]) {
      const rows = Math.ceil(events / 10_000) * 10_000;
      const drained: Drained[] = [];
      for (let round = 0; round < rounds; round += 1) drained.push(await drain(beds, rows, each));
      const rates = drained.map(({ seconds }) => Math.round(rows / seconds));
      yield {
        section: "postgres",
        name: `${each.toLocaleString("en")} rows a transaction`,
        "rows/s": median(rates),
        spread: `${Math.min(...rates).toLocaleString("en")}–${Math.max(...rates).toLocaleString("en")}`,
        "client µs/row": rounded((median(drained.map(({ cpuSeconds }) => cpuSeconds)) * 1e6) / rows),
        "peak MiB": Math.round(Math.max(...drained.map(({ peakMiB }) => peakMiB))),
      };
    }
    for (const perSecond of [100, 1_000]) {
      const name = "INSERT → entry read";
      const figures = percentiles(await latencies(beds, perSecond, 10));
      yield { section: "postgres-latency", name, "transactions/s": perSecond, ...figures };
    }
  } finally {
    await client.end();
    await redis.quit();
    await server.stop();
  }
}
