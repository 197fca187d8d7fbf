import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readEvents } from "../kit/load/tally.ts";
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
  await db.query("INSERT INTO orders SELECT n, 'tea' FROM generate_series(1, 1000) AS n");
  await db.query("CREATE TABLE notes (text text)");
  folder = mkdtempSync(join(tmpdir(), "rxadd-backfill-"));
  config = file("shop", "onDemand");
});
afterAll(async () => {
  await db.end();
  await Promise.all([redis.stop(), postgres.stop()]);
  rmSync(folder, { recursive: true });
});

/** A file with a pipeline of a slot of its own. */
function file(name: string, snapshot: string): string {
  const path = join(folder, `${name}.yaml`);
  writeFileSync(
    path,
    `pipeline: ${name}
source:
  type: postgres
  config: { dsn: "\${POSTGRES_URI}", slot: ${name}, snapshot: ${snapshot} }
sinks:
  - type: redis
    config: { id: ${name}-redis, uri: "\${REDIS_URI}", stream: ${name}.events }
`,
  );
  return path;
}

const env = () => ({ POSTGRES_URI: postgres.connectionString, REDIS_URI: redis.uri });

function replicate(path: string, ...flags: readonly string[]): Run {
  return rxadd(["replicate", "--config", path, "--metrics-port", "0", ...flags], "", env());
}

async function asked(...flags: readonly string[]) {
  const run = rxaddHere(["backfill", ...flags], "", env());
  return { code: await run.ended, said: run.stderr() };
}

async function events(name: string): Promise<{ op: string; after: { id: number } | null }[]> {
  return (await readEvents(redis.client, `${name}.events`)).map((event) => JSON.parse(event));
}

describe("rxadd backfill", () => {
  it("has rows that are there published by rxadd replicate, which says so and counts them", async () => {
    const run = replicate(config);
    await run.says("shop.events: publishing");
    await expect.poll(() => redis.client.hget("{shop.events}:rxadd:shop-redis", "position")).toBeTruthy();

    expect(await asked("--config", config, "--table", "public.orders", "--where", "id <= 10")).toEqual({
      code: 0,
      said: expect.stringContaining(
        "asked for the rows of public.orders: whoever reads slot shop reads them",
      ),
    });
    await run.says("public.orders: 10 rows read");
    await expect.poll(async () => (await events("shop")).length).toBe(10);
    expect(await asked("--slot", "shop", "--table", "public.orders", "--anew")).toMatchObject({ code: 0 });
    await run.says("public.orders: 1,000 rows read");
    await expect.poll(async () => (await events("shop")).length).toBe(1011);
    expect((await events("shop")).slice(9, 12).map(({ op, after }) => [op, after?.id])).toEqual([
      ["r", 10],
      ["t", undefined],
      ["r", 1],
    ]);

    expect(await asked("--config", config, "--table", "public.notes", "--where", "text = 'a'")).toMatchObject(
      { code: 0 },
    );
    await run.says("warning: public.notes: not read: where: found table public.notes without a primary key");
    await db.query("INSERT INTO orders VALUES (1001, 'milk')");
    await expect.poll(async () => (await events("shop")).at(-1)?.op).toBe("c");

    const [, url = ""] = /metrics at (\S+)/.exec(run.stderr()) ?? [];
    const metrics = await (await fetch(url)).text();
    expect(metrics).toContain('rxadd_snapshot_rows_total{pipeline="shop",table="public.orders"} 1010');
    expect(metrics).toContain('rxadd_snapshot_refused_total{pipeline="shop",table="public.notes"} 1');
    run.child.kill("SIGTERM");
    expect(await run.ended).toBe(0);
  });

  it("is heard of by a rxadd replicate that starts later", async () => {
    expect(await asked("--config", config, "--table", "public.orders", "--where", "id = 7")).toMatchObject({
      code: 0,
    });
    const run = replicate(config);
    await run.says("public.orders: 1 rows read");
    run.child.kill("SIGTERM");
    expect(await run.ended).toBe(0);
  });

  it.each<[string, () => readonly string[], RegExp]>([
    [
      "a slot that there is not",
      () => ["--slot", "other", "--table", "public.orders"],
      /found no slot other/,
    ],
    [
      "a table that is not published",
      () => ["--slot", "shop", "--table", "public.staff"],
      /no publication with public.staff/,
    ],
    ["a table without its schema", () => ["--slot", "shop", "--table", "orders"], /schema\.table/],
    [
      "other SQL",
      () => ["--slot", "shop", "--table", "public.orders", "--where", "id in (1)"],
      /where: found "id in \(1\)"/,
    ],
    [
      "a column that there is not",
      () => ["--slot", "shop", "--table", "public.orders", "--where", "x = 1"],
      /found no column x/,
    ],
    [
      "rows anew, but not all",
      () => ["--slot", "shop", "--table", "public.orders", "--anew", "--where", "id = 1"],
      /anew: found it with where/,
    ],
    ["no table", () => ["--slot", "shop"], /required option '--table <name>' not specified/],
    [
      "no URI",
      () => ["--dsn", "hunter2", "--table", "public.orders"],
      /--dsn: found something else, expected a URI that starts with postgres/,
    ],
    [
      "both",
      () => ["--dsn", postgres.connectionString, "--config", config, "--table", "public.orders"],
      /found both --config and --dsn/,
    ],
    [
      "a source that hears of none",
      () => ["--config", file("deaf", "never"), "--table", "public.orders"],
      /snapshot: found never, expected initial or onDemand/,
    ],
    [
      "a file with another slot",
      () => ["--config", config, "--slot", "other", "--table", "public.orders"],
      /found no postgres source with --slot other, expected one/,
    ],
    [
      "a wrong password",
      () => ["--dsn", postgres.connectionString.replace("secret", "hunter2"), "--table", "public.orders"],
      /password authentication failed/,
    ],
  ])("says with exit code 2 what is wrong: %s", async (_case, flags, message) => {
    const { code, said } = await asked(...flags());

    expect(code).toBe(2);
    expect(said).toMatch(message);
    expect(said).not.toContain("hunter2");
    expect(said).not.toContain("    at ");
  });
});

describe("rxadd replicate with snapshot: initial", () => {
  it("publishes the rows that are there, and tells when each table is read", async () => {
    const path = file("whole", "initial");
    await db.query("DROP TABLE notes");

    const run = replicate(path);
    await run.says("public.orders: 1,001 rows read");
    await expect.poll(async () => (await events("whole")).length).toBe(1001);
    run.child.kill("SIGTERM");

    expect(await run.ended).toBe(0);
    expect((await events("whole")).every(({ op }) => op === "r")).toBe(true);
  });

  it("fills the stream anew with --accept-hole when Redis has come back empty", async () => {
    const path = join(folder, "whole.yaml");
    await redis.client.flushall();
    await db.query("DELETE FROM orders WHERE id > 10");
    const refused = replicate(path);
    expect(await refused.ended).toBe(2);
    expect(refused.stderr()).toMatch(/no position to go on from: .*--accept-hole: with snapshot: initial/);

    const run = replicate(path, "--accept-hole");
    await run.says("reads every table anew, without changes that are gone");
    await run.says("public.orders: 10 rows read");
    await expect.poll(async () => (await events("whole")).filter(({ op }) => op === "r").length).toBe(10);
    run.child.kill("SIGTERM");

    expect(await run.ended).toBe(0);
    const all = await events("whole");
    const kept = all.slice(all.findIndex(({ op }) => op === "t") + 1);
    expect(kept.map(({ after }) => after?.id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });
});
