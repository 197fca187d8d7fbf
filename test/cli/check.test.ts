import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { lastValueFrom, of } from "rxjs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { redisSink } from "../../src/index.ts";
import { rxadd } from "../kit/program/cli.ts";
import { rxaddHere } from "../kit/program/inProcess.ts";
import { type PostgresServer, postgresVersion, startPostgres } from "../kit/servers/postgresServer.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";

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
  const run = rxaddHere(["check", file, "--json"]);
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

  it("finds a replica, which takes no writes", async () => {
    await redis.client.replicaof("127.0.0.1", 1);
    try {
      const { code, wrong } = await check();
      expect(code).toBe(3);
      expect(wrong["sink orders-redis: role"]).toMatch(/found a replica/);
      expect(wrong["sink orders-redis: writes"]).toMatch(/READONLY/);
    } finally {
      await redis.client.replicaof("NO", "ONE");
    }
  });

  it("finds a server that takes no writes because its memory is full", async () => {
    await redis.client.config("SET", "maxmemory", "1");
    try {
      const { code, wrong } = await check();
      expect(code).toBe(3);
      expect(wrong["sink orders-redis: writes"]).toMatch(/OOM .* raise maxmemory/);
    } finally {
      await redis.client.config("SET", "maxmemory", "0");
    }
  });

  it("gives up a server that says nothing", async () => {
    await redis.signal("SIGSTOP");
    try {
      const { code, wrong } = await check(", connect_timeout_secs: 0.2, send_timeout_secs: 0.2");
      expect(code).toBe(3);
      expect(Object.keys(wrong)).toEqual(["sink orders-redis: reached"]);
    } finally {
      await redis.signal("SIGCONT");
    }
  });

  it("finds a partition whose key is no stream, and a state that is none", async () => {
    await redis.client.set("orders.events:{1}", "text");
    await redis.client.set("rxadd:orders-redis", "text");

    expect(await check(", partitions: 3, key: '${id}'")).toMatchObject({
      code: 3,
      wrong: {
        "sink orders-redis: stream": "orders.events:{1}: holds a string, expected a stream",
        "sink orders-redis: state": "its key holds a string, expected the sink's own hash",
      },
    });
  });

  it("takes a source's stream that is not there yet for an empty one", async () => {
    const source = `source: { type: redis, config: { uri: "${redis.uri}", stream: orders.source } }`;

    expect(await check("", redis.uri, source)).toMatchObject({
      code: 0,
      output: expect.stringMatching(/orders.source: 0 entries/),
    });
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

  it("says how much log is kept for the slot, whether a standby gets it, and which tables take no updates", async () => {
    const client = new Client(postgres.connectionString);
    await client.connect();
    const source = (more: string) =>
      `source: { type: postgres, config: { dsn: "${postgres.connectionString}", slot: kept, publication: kept${more} } }`;
    const found = async (more = "") => {
      const { code, output } = await check("", redis.uri, source(more));
      const all: { what: string; found: string }[] = output
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      const of = (what: string) => all.find((finding) => finding.what === what)?.found;
      return { code, log: of("log"), failover: of("failover"), tables: of("tables") };
    };
    try {
      await client.query(`CREATE SCHEMA kept; CREATE TABLE kept.keyed (id int PRIMARY KEY); CREATE TABLE kept.log (text text);
        CREATE TABLE kept.full_row (a int); ALTER TABLE kept.full_row REPLICA IDENTITY FULL;
        CREATE TABLE kept.hidden (id int PRIMARY KEY); ALTER TABLE kept.hidden REPLICA IDENTITY NOTHING;
        CREATE TABLE kept.by_index (a int NOT NULL UNIQUE); ALTER TABLE kept.by_index REPLICA IDENTITY USING INDEX by_index_a_key`);
      const nothing = { code: 0, log: undefined, failover: undefined };
      const aheadOfStandby =
        "the slot goes along to a standby; a sink may be ahead of the one that takes over, unless synchronized_standby_slots names its slot";
      const lacking = (names: string) => expect.stringMatching(`replica identity, such as ${names}$`);
      expect(await found()).toEqual({ ...nothing, tables: lacking("kept.hidden, kept.log") });
      expect(await found(", tables: [kept.keyed, kept.full_row, kept.by_index]")).toEqual({
        ...nothing,
        tables: "3 published",
      });
      expect(await found(", failover: true, tables: [], messages: [shop]")).toEqual({
        ...nothing,
        failover: postgresVersion < 17 ? undefined : aheadOfStandby,
        tables: "0 published",
      });
      expect(await found(", tables: [], messages: [shop]")).toEqual({ ...nothing, tables: "0 published" });

      await client.query("CREATE PUBLICATION kept FOR TABLE kept.log, kept.keyed");
      await client.query("SELECT pg_create_logical_replication_slot('kept', 'pgoutput')");
      await client.query("SELECT pg_logical_emit_message(false, 'test', repeat('x', 3000000))");
      await redis.client.hset("{orders.events}:rxadd:orders-redis", {
        epoch: 1,
        sequence: 1,
        position: "FF/1:1",
      });

      expect(await found()).toEqual({
        code: 0,
        log: expect.stringMatching(/^\d+ (kB|MB) kept for the slot, no limit to it$/),
        failover: postgresVersion < 17 ? undefined : "the slot does not go along to a standby; see failover",
        tables: lacking("kept.log"),
      });
      const wanting = await found(", failover: true");
      if (postgresVersion >= 17)
        expect(wanting).toMatchObject({
          code: 2,
          failover: expect.stringContaining("expected one that does"),
        });
      if (postgresVersion < 17) return;
      await client.query("SELECT pg_drop_replication_slot('kept')");
      await client.query("SELECT pg_create_logical_replication_slot('kept', 'pgoutput', failover => true)");
      expect(await found()).toMatchObject({ failover: aheadOfStandby });
      await client.query("SELECT pg_create_physical_replication_slot('standby')");
      await client.query("ALTER SYSTEM SET synchronized_standby_slots = 'standby'");
      await client.query("SELECT pg_reload_conf()");
      await expect.poll(found).toMatchObject({ failover: "the slot goes along to a standby" });
    } finally {
      await client.query("ALTER SYSTEM RESET ALL");
      await client.query("SELECT pg_reload_conf()");
      await client.query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
      await client.query("DROP PUBLICATION kept; DROP SCHEMA kept CASCADE");
      await client.end();
    }
  });

  it("says with exit code 2 that the slot has lost what it still had to send", async () => {
    const client = new Client(postgres.connectionString);
    await client.connect();
    await client.query("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
    await client.query("SELECT pg_reload_conf()");
    await client.query("SELECT pg_create_logical_replication_slot('behind', 'pgoutput')");
    for (let segment = 0; segment < 3; segment += 1) {
      await client.query("SELECT pg_logical_emit_message(false, 'test', 'more'), pg_switch_wal()");
    }
    const source = `source: { type: postgres, config: { dsn: "${postgres.connectionString}", slot: behind } }`;
    const before = await check("", redis.uri, source);
    expect(before.wrong["source: log"]).toMatch(
      /^\d+ MB kept for the slot, and about to be removed: read on/,
    );
    await client.query("CHECKPOINT");
    await client.end();

    const { code, wrong } = await check("", redis.uri, source);

    expect(code).toBe(2);
    expect(wrong["source: slot"]).toMatch(/^behind: PostgreSQL has removed what it still had to send/);
  });

  it("says with exit code 2 that changes are gone: slot, publication, or what was acknowledged", async () => {
    const client = new Client(postgres.connectionString);
    await client.connect();
    const source = `source: { type: postgres, config: { dsn: "${postgres.connectionString}", slot: gone, publication: gone } }`;
    const changesAt = async (position: string) => {
      await redis.client.del("{orders.events}:rxadd:orders-redis");
      if (position !== "")
        await redis.client.hset("{orders.events}:rxadd:orders-redis", { epoch: 1, sequence: 1, position });
      const { code, wrong } = await check("", redis.uri, source);
      return { code, found: wrong["source: changes"] };
    };
    try {
      expect(await changesAt("0/10:1")).toEqual({
        code: 2,
        found: expect.stringMatching(/sink orders-redis: slot gone: found none/),
      });
      expect(await changesAt("")).toEqual({ code: 0, found: undefined });

      await client.query("SELECT pg_create_logical_replication_slot('gone', 'pgoutput')");
      expect((await changesAt("0/10:1")).found).toMatch(/slot gone keeps them no longer/);
      expect((await changesAt("")).found).toMatch(/if this is a first run, drop the slot/);
      expect((await changesAt("FF/10:1")).found).toMatch(/publication gone: found none/);

      await client.query("CREATE PUBLICATION gone FOR ALL TABLES");
      expect(await changesAt("FF/10:1")).toEqual({ code: 0, found: undefined });
    } finally {
      await client.query("SELECT pg_drop_replication_slot('gone')");
      await client.query("DROP PUBLICATION IF EXISTS gone");
      await client.end();
    }
  });

  it("says with exit code 2 which tables cannot be read, where rows are to be", async () => {
    const client = new Client(postgres.connectionString);
    await client.connect();
    try {
      await client.query("CREATE TABLE orders (id int PRIMARY KEY)");
      await client.query("CREATE TABLE notes (text text)");
      await client.query("CREATE TABLE secrets (id int PRIMARY KEY)");
      await client.query("ALTER TABLE secrets ENABLE ROW LEVEL SECURITY");
      await client.query("CREATE ROLE copier LOGIN PASSWORD 's3cr3t' REPLICATION");
      await client.query("GRANT SELECT ON notes, secrets TO copier");
      const dsn = postgres.connectionString.replace(/\/\/[^@]+@/, "//copier:s3cr3t@");
      const checkAs = (settings: string) =>
        check(
          "",
          redis.uri,
          `source: { type: postgres, config: { dsn: "${dsn}", slot: rows, publication: rows ${settings} } }`,
        );
      const rowsIn = ({ output }: Outcome) =>
        [...output.matchAll(/"what":"rows","found":"([^"]+)","state":"(\w+)"/g)].map(
          ([, found, state]) => `${state} ${found}`,
        );

      const all = await checkAs(", snapshot: initial");
      expect(all.code).toBe(2);
      expect(rowsIn(all)).toEqual([
        "wrong public.orders: not granted to the user: GRANT SELECT ON it, and USAGE ON its schema",
        "wrong public.secrets: row security hides rows from the user: ALTER ROLE … BYPASSRLS",
      ]);
      expect(rowsIn(await checkAs(""))).toEqual([]);
      expect(rowsIn(await checkAs(", snapshot: onDemand, tables: [public.orders]"))).toHaveLength(1);

      await client.query("CREATE PUBLICATION rows FOR TABLE orders");
      await client.query("GRANT SELECT ON orders TO copier");
      const granted = await checkAs(", snapshot: initial");
      expect(granted).toMatchObject({ code: 0, wrong: {} });
      expect(rowsIn(granted)).toEqual(["ok of 1 tables can be read"]);
      expect(all.output).not.toContain("s3cr3t");
    } finally {
      await client.query("DROP PUBLICATION IF EXISTS rows");
      await client.query("DROP TABLE orders, notes, secrets");
      await client.query("DROP ROLE copier");
      await client.end();
    }
  });

  it("says with exit code 2 that a user may not replicate", async () => {
    const client = new Client(postgres.connectionString);
    await client.connect();
    await client.query("CREATE ROLE reader LOGIN PASSWORD 's3cr3t' NOREPLICATION");
    await client.end();
    const dsn = postgres.connectionString.replace(/\/\/[^@]+@/, "//reader:s3cr3t@");

    const { code, wrong, output } = await check(
      "",
      redis.uri,
      `source: { type: postgres, config: { dsn: "${dsn}" } }`,
    );

    expect(code).toBe(2);
    expect(wrong).toEqual({
      "source: replication": "not granted to the user",
      "source: publication": expect.stringMatching(/the user may not make it/),
    });
    expect(output).not.toContain("s3cr3t");
  });

  it.each([
    [
      "a database that is not there",
      'source: { type: postgres, config: { dsn: "postgres://127.0.0.1:1/x" } }',
      2,
    ],
    ["a file that is not there", "source: { type: ndjson, config: { path: /nowhere } }", 2],
    ["a folder in place of a file", `source: { type: ndjson, config: { path: ${tmpdir()} } }`, 2],
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

  it("says with exit code 2 that there is no such file", async () => {
    const run = rxadd(["check", join(folder, "nowhere.yaml")]);

    expect(await run.ended).toBe(2);
    expect(run.stderr()).toMatch(/nowhere.yaml: cannot be read: ENOENT/);
  });

  it("says what is wrong with the file, with exit code 2", async () => {
    const { code, output } = await check(", window: 0");

    expect(code).toBe(2);
    expect(output).toMatch(/window: found 0, expected a whole number from 1 on/);
  });
});
