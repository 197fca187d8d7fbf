import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lastValueFrom, of } from "rxjs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { redisSink } from "../../src/index.ts";
import { rxadd } from "../support/cli.ts";
import { type PostgresServer, startPostgres } from "../support/postgresServer.ts";
import { type RedisServer, startRedis } from "../support/redisServer.ts";

let redis: RedisServer;
let postgres: PostgresServer;
let folder: string;
beforeAll(async () => {
  [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  folder = mkdtempSync(join(tmpdir(), "rxadd-check-"));
});
afterAll(async () => {
  await Promise.all([redis.stop(), postgres.stop()]);
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  await redis.client.flushall();
  await redis.client.config("SET", "maxmemory-policy", "noeviction");
});

interface Outcome {
  readonly code: unknown;
  readonly output: string;
  /** What was found wrong, by part and what. */
  readonly wrong: Readonly<Record<string, string>>;
}

/** Checks a file with one sink, as its config goes on; and a source, if there is one. */
async function check(config = "", uri = redis.uri, source = ""): Promise<Outcome> {
  const file = join(folder, "pipeline.yaml");
  writeFileSync(
    file,
    `${source}\nsinks: [{ type: redis, config: { id: orders-redis, uri: "${uri}", stream: orders.events ${config} } }]\n`,
  );
  const run = rxadd(["check", file, "--json"]);
  const code = await run.ended;
  const rows: { part: string; what: string; state: string; found: string }[] = run
    .stdout()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
  const wrong = rows.filter(({ state }) => state === "wrong");
  return {
    code,
    output: run.stdout() + run.stderr(),
    wrong: Object.fromEntries(wrong.map(({ part, what, found }) => [`${part}: ${what}`, found])),
  };
}

describe("rxadd check", () => {
  it("tells what it found as a table, and raises no epoch", async () => {
    await lastValueFrom(
      of({ position: 7 }).pipe(redisSink({ id: "orders-redis", uri: redis.uri, stream: "orders.events" })),
    );
    await check();
    const run = rxadd(["check", join(folder, "pipeline.yaml")]);

    expect(await run.ended).toBe(0);
    expect(run.stdout()).toMatch(/^PART +WHAT +STATE +FOUND\n/);
    expect(run.stdout()).toMatch(/server +ok +(redis|valkey) \d/);
    expect(run.stdout()).toMatch(/stream +ok +orders.events: 1 entries/);
    expect(run.stdout()).toMatch(/state +ok +epoch 1, position 7/);
    expect(run.stdout()).toMatch(/rights +ok +enough to publish/);
    expect(await redis.client.hget("{orders.events}:rxadd:orders-redis", "epoch")).toBe("1");
  });

  it("makes nothing at a first look", async () => {
    expect(await check()).toMatchObject({ code: 0, wrong: {} });
    expect(await redis.client.keys("*")).toEqual([]);
  });

  it("finds a key that is no stream, of the dead letters too", async () => {
    await redis.client.set("orders.dead", "text");

    expect(await check(", dead_letters: { stream: orders.dead }")).toMatchObject({
      code: 3,
      wrong: { "sink orders-redis: stream": "orders.dead: holds a string, expected a stream" },
    });
  });

  it("finds a policy that evicts whole streams", async () => {
    await redis.client.config("SET", "maxmemory-policy", "allkeys-lru");

    const { code, wrong } = await check();
    expect(code).toBe(3);
    expect(wrong["sink orders-redis: eviction"]).toMatch(/allkeys-lru: it evicts whole streams/);
  });

  it("finds rights that are missing, without writing", async () => {
    const rights = ["on", ">s3cr3t", "~*", "+@all", "-xadd", "-xtrim"];
    await redis.client.call("ACL", "SETUSER", "reader", "reset", ...rights);
    const uri = redis.uri.replace("://", "://reader:s3cr3t@");

    const { code, wrong, output } = await check(", trim: { max_len: 5 }", uri);
    expect(code).toBe(3);
    expect(wrong["sink orders-redis: rights"]).toMatch(/missing: XADD orders.events, XTRIM orders.events/);
    expect(output).not.toContain("s3cr3t");
  });

  it.each([
    ["a wrong password", () => redis.uri.replace("://", "://:s3cr3t@"), /WRONGPASS|password/],
    ["a server that is not there", () => "redis://:s3cr3t@127.0.0.1:1", /ECONNREFUSED/],
  ])("ends with exit code 3 on %s, and shows no secret", async (_case, uri, message) => {
    await redis.client.config("SET", "requirepass", "other");
    try {
      const { code, wrong, output } = await check("", uri());
      expect(code).toBe(3);
      expect(wrong["sink orders-redis: reached"]).toMatch(message);
      expect(output).not.toContain("s3cr3t");
    } finally {
      await redis.client.config("SET", "requirepass", "");
    }
  });

  it("looks at a database, and makes no slot there", async () => {
    const source = `source: { type: postgres, config: { dsn: "${postgres.connectionString}" } }`;

    const { code, output } = await check("", redis.uri, source);

    expect(code).toBe(0);
    expect(output).toMatch(/"wal_level","found":"logical"/);
    expect(output).toMatch(/rxadd: made at the first run/);
    const again = await check("", redis.uri, source);
    expect(again.output).toMatch(/rxadd: made at the first run/);
  });

  it.each([
    [
      "a database that is not there",
      'source: { type: postgres, config: { dsn: "postgres://127.0.0.1:1/x" } }',
      2,
    ],
    ["a file that is not there", "source: { type: ndjson, config: { path: /nowhere } }", 2],
    [
      "a stream that is not there",
      'source: { type: redis, config: { uri: "redis://127.0.0.1:1", stream: s } }',
      3,
    ],
  ])("finds %s, and looks at the sinks all the same", async (_case, source, expected) => {
    const { code, wrong, output } = await check("", redis.uri, source);

    expect(code).toBe(expected);
    expect(Object.keys(wrong)).toEqual(["source: reached"]);
    expect(output).toMatch(/enough to publish/);
  });

  it("says what is wrong with the file, with exit code 2", async () => {
    const { code, output } = await check(", window: 0");

    expect(code).toBe(2);
    expect(output).toMatch(/window: found 0, expected a whole number from 1 on/);
  });
});
