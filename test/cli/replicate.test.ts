import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readEvents, tally } from "../kit/load/tally.ts";
import { type Run, rxadd } from "../kit/program/cli.ts";
import { rxaddHere } from "../kit/program/inProcess.ts";
import { type PostgresServer, startPostgres } from "../kit/servers/postgresServer.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";

let redis: RedisServer;
let postgres: PostgresServer;
let db: Client;
let folder: string;
let config: string;

beforeAll(async () => {
  [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  db = new Client(postgres.connectionString);
  await db.connect();
  await db.query("CREATE TABLE orders (id int PRIMARY KEY, item text)");
  folder = mkdtempSync(join(tmpdir(), "rxadd-replicate-"));
  config = join(folder, "shop.yaml");
  writeFileSync(
    config,
    `pipeline: shop
source:
  type: postgres
  config: { dsn: "\${POSTGRES_URI}", tables: [public.orders] }
sinks:
  - type: redis
    config: { id: orders-redis, uri: "\${REDIS_URI}", stream: orders.events }
`,
  );
});
afterAll(async () => {
  await db.end();
  await Promise.all([redis.stop(), postgres.stop()]);
  rmSync(folder, { recursive: true });
});

function replicate(...flags: readonly string[]): Run {
  const env = { POSTGRES_URI: postgres.connectionString, REDIS_URI: redis.uri };
  return rxadd(["replicate", "--config", config, "--metrics-port", "0", ...flags], "", env);
}

async function insert(from: number, to: number): Promise<void> {
  await db.query(`INSERT INTO orders SELECT n, 'tea' FROM generate_series(${from}, ${to}) n`);
}

async function orders(): Promise<number[]> {
  return (await readEvents(redis.client, "orders.events")).map((event) => JSON.parse(event).after.id);
}

describe("rxadd replicate", () => {
  it("has each row change in the stream once, although it is killed five times", async () => {
    let last = 0;
    for (let kill = 0; kill < 5; kill += 1) {
      const run = replicate();
      await run.says("orders.events: publishing");
      await expect
        .poll(async () => (await db.query("SELECT 1 FROM pg_replication_slots WHERE active")).rowCount)
        .toBe(1);
      for (let batch = 0; batch < 20; batch += 1) {
        await insert(last + 1, last + 50);
        last += 50;
      }
      run.child.kill("SIGKILL");
      await run.ended;
    }

    const run = replicate();
    await expect.poll(() => redis.client.xlen("orders.events")).toBeGreaterThanOrEqual(last);
    run.child.kill("SIGTERM");

    expect(await run.ended).toBe(0);
    expect(tally(await orders(), last)).toEqual({ entries: last, lost: 0, duplicates: 0, inversions: 0 });
  });

  it("refuses each start after Redis has lost everything, until --accept-hole is given once", async () => {
    await redis.client.flushall();
    for (let start = 1; start <= 2; start += 1) {
      const refused = replicate();
      expect(await refused.ended).toBe(2);
      expect(refused.stderr()).toMatch(/no position to go on from: .*--accept-hole/s);
    }

    const accepting = replicate("--accept-hole");
    await accepting.says("goes on without changes that are gone");
    await expect.poll(() => redis.client.hget("{orders.events}:rxadd:orders-redis", "position")).toBeTruthy();
    accepting.child.kill("SIGTERM");
    expect(await accepting.ended).toBe(0);

    const next = replicate();
    await insert(1_000_001, 1_000_001);
    await expect.poll(async () => (await orders()).at(-1)).toBe(1_000_001);
    next.child.kill("SIGTERM");
    expect(await next.ended).toBe(0);
  });

  it("publishes what an outbox holds, and what messages say, once", async () => {
    const file = join(folder, "outbox.yaml");
    writeFileSync(
      file,
      `source:
  type: postgres
  config:
    { dsn: "\${POSTGRES_URI}", slot: out, publication: out, tables: [public.outbox], messages: [shop], outbox: {} }
sinks:
  - type: redis
    config:
      { id: out, uri: "\${REDIS_URI}", stream: "events.\${after.aggregate_type}", fields: { id: "\${id}" } }
`,
    );
    await db.query("CREATE TABLE outbox (id int PRIMARY KEY, aggregate_type text, payload json)");
    const env = { POSTGRES_URI: postgres.connectionString, REDIS_URI: redis.uri };
    const start = () => rxadd(["replicate", "--config", file, "--metrics-port", "0"], "", env);
    const entries = async () =>
      (await redis.client.xrange("events.order", "-", "+")).map(([, fields]) => fields);
    const told: string[][] = [];

    for (const n of [1, 3]) {
      const run = start();
      await expect.poll(async () => (await db.query("SELECT 1 FROM pg_stat_replication")).rowCount).toBe(1);
      await db.query(
        `BEGIN; INSERT INTO outbox VALUES (${n}, 'order', '{"n": ${n}}'); DELETE FROM outbox;
         SELECT pg_logical_emit_message(true, 'shop', '{"id": ${n + 1}, "aggregate_type": "order", "payload": [${n + 1}]}'); COMMIT`,
      );
      told.push(["event", `{"n":${n}}`, "id", `${n}`], ["event", `[${n + 1}]`, "id", `${n + 1}`]);
      await expect.poll(entries).toEqual(told);
      run.child.kill("SIGKILL");
      await run.ended;
    }
  });

  it("says with exit code 2 that a source is missing", async () => {
    const file = join(folder, "no-source.yaml");
    writeFileSync(file, "sinks:\n  - type: redis\n    config: { id: a, uri: redis://h, stream: s }\n");

    const run = rxaddHere(["replicate", "--config", file], "");

    expect(await run.ended).toBe(2);
    expect(run.stderr()).toContain("source: found nothing, expected a source");
  });

  it("ends with one message when PostgreSQL refuses the password", async () => {
    const wrong = {
      POSTGRES_URI: postgres.connectionString.replace("secret", "hunter2"),
      REDIS_URI: redis.uri,
    };

    const run = rxaddHere(["replicate", "--config", config, "--metrics-port", "0"], "", wrong);

    expect(await run.ended).toBe(2);
    expect(run.stderr()).toContain("password authentication failed");
    expect(run.stderr()).not.toContain("hunter2");
    expect(run.stderr()).not.toContain("    at ");
  });
});
