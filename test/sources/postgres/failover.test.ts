import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { NEVER } from "rxjs";
import { afterEach, describe, expect, it } from "vitest";
import { redisSink, replicate } from "../../../src/index.ts";
import { type PostgresOptions, postgresChanges } from "../../../src/sources/postgres/index.ts";
import { type FakeRedis, fakeRedis } from "../../../src/testing/index.ts";
import { startProxy } from "../../kit/network/tcpProxy.ts";
import { type PostgresServer, postgresVersion, startPostgres } from "../../kit/servers/postgresServer.ts";
import { collect, upTo } from "./postgresBed.ts";

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function started(server: Promise<PostgresServer>) {
  const { connectionString, port, stop } = await server;
  ending.push(stop);
  const client = new Client(connectionString);
  client.on("error", () => {});
  await client.connect();
  ending.push(() => client.end().catch(() => {}));
  const query = async (sql: string) => (await client.query(sql)).rows;
  return { connectionString, port, stop, query };
}
type Server = Awaited<ReturnType<typeof started>>;

/** A standby that follows a primary, with the slots that go along. */
function standbyOf({ port, query }: Pick<Server, "port" | "query">): Promise<Server> {
  const primary = `host=127.0.0.1 port=${port} user=postgres password=secret dbname=postgres`;
  const settings = {
    ...{ primary_conninfo: primary, primary_slot_name: "standby" },
    ...{ hot_standby_feedback: "on", sync_replication_slots: "on" },
  };
  const copy = async (data: string): Promise<void> => {
    const [{ data_directory: from }] = (await query("SHOW data_directory")) as [{ data_directory: string }];
    await query("SELECT pg_backup_start('copy', true)");
    execFileSync("cp", ["-a", from, data]);
    const [stopped] = await query("SELECT labelfile FROM pg_backup_stop(false)");
    writeFileSync(join(data, "backup_label"), stopped?.labelfile);
    const prepare =
      "rm -rf postmaster.pid pg_replslot/*; touch standby.signal; chown --reference=PG_VERSION backup_label standby.signal";
    execFileSync("sh", ["-ec", prepare], { cwd: data });
  };
  return started(startPostgres(settings, undefined, copy));
}

/** The slot is with the standby, for good: that takes until it has moved on the primary, from one mark of these to the next. */
async function synced(primary: Server, standby: Server): Promise<void> {
  const isThere = async () => {
    await primary.query("SELECT pg_log_standby_snapshot()");
    // Who copies slots may sleep for long, and is woken by that.
    await standby.query("SELECT pg_reload_conf()");
    return standby.query(
      "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'shop' AND synced AND NOT temporary",
    );
  };
  await expect.poll(isThere).toHaveLength(1);
}

function start({ connectionString }: Server, redis: FakeRedis, options: Partial<PostgresOptions> = {}) {
  const source = postgresChanges({
    connectionString,
    slot: "shop",
    publication: "shop",
    failover: true,
    ...options,
  });
  const sink = redisSink<object>({ id: "shop", connection: redis, stream: "orders" });
  const failures: unknown[] = [];
  const running = replicate({ source, sink }).subscribe({ error: (error) => failures.push(error) });
  ending.push(() => running.unsubscribe());
  return { failures, stop: () => running.unsubscribe() };
}

const ids = (redis: FakeRedis) => redis.events("orders").map((text) => JSON.parse(text).after.id);
const told = (redis: FakeRedis) =>
  redis.events("orders").map((text) => {
    const { op, after } = JSON.parse(text);
    return after === null ? op : `${op} ${after.id}`;
  });
const insert = ({ query }: Server, id: number) => query(`INSERT INTO orders VALUES (${id})`);

describe.skipIf(postgresVersion < 17)("a failover slot", () => {
  it("goes along to the standby that takes over, and each change is published once", async () => {
    const primary = await started(startPostgres());
    await primary.query("CREATE TABLE orders (id int PRIMARY KEY)");
    await primary.query("SELECT pg_create_physical_replication_slot('standby', true)");
    const redis = fakeRedis();
    const first = start(primary, redis);
    const isRead = () =>
      primary.query("SELECT 1 FROM pg_replication_slots WHERE slot_name = 'shop' AND active");
    await expect.poll(isRead).toHaveLength(1);
    const standby = await standbyOf(primary);
    await primary.query("ALTER SYSTEM SET synchronized_standby_slots = 'standby'");
    await primary.query("SELECT pg_reload_conf()");
    for (const id of upTo(5)) await insert(primary, id);
    await expect.poll(() => ids(redis)).toEqual(upTo(5));
    await synced(primary, standby);
    for (const id of [6, 7]) await insert(primary, id);
    await expect.poll(() => ids(redis)).toEqual(upTo(7));

    first.stop();
    await primary.stop();
    await standby.query("SELECT pg_promote()");
    await insert(standby, 8);
    const next = start(standby, redis);
    await expect.poll(() => ids(redis)).toEqual(upTo(8));
    await insert(standby, 9);

    await expect.poll(() => ids(redis)).toEqual(upTo(9));
    expect([...first.failures, ...next.failures]).toEqual([]);
  });
});

/** Ends it as an administrator does: it waits until all that it has written is with the standby, and with who reads the slot. */
async function shutDown({ query }: Server): Promise<void> {
  const [{ data_directory: data }] = (await query("SHOW data_directory")) as [{ data_directory: string }];
  const [pid = ""] = readFileSync(join(data, "postmaster.pid"), "utf8").split("\n");
  process.kill(Number(pid), "SIGINT");
  await expect.poll(() => existsSync(join(data, "postmaster.pid"))).toBe(false);
}

/** A source that reads through a proxy, and a standby that follows through another one. */
async function followed() {
  const primary = await started(startPostgres());
  await primary.query("CREATE TABLE orders (id int PRIMARY KEY)");
  // Asked often how far it is read, the slot moves without a change.
  await primary.query("ALTER ROLE postgres SET wal_sender_timeout = '900ms'");
  await primary.query("SELECT pg_create_physical_replication_slot('standby', true)");
  const address = await startProxy(primary.port);
  const line = await startProxy(primary.port);
  ending.push(address.stop, line.stop);
  const connectionString = primary.connectionString.replace(`${primary.port}`, `${address.port}`);
  let standby: Server | undefined;
  return {
    primary,
    at: { ...primary, connectionString },
    /** Once somebody reads the slot: it goes along from now on. */
    standby: async () => {
      const readers = () =>
        primary.query(
          "SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = 'shop' AND active",
        );
      await expect.poll(readers).toHaveLength(1);
      standby = await standbyOf({ port: line.port, query: primary.query });
      await synced(primary, standby);
      await primary.query("ALTER ROLE postgres RESET ALL");
      const [reader] = await readers();
      await primary.query(`SELECT pg_terminate_backend(${reader?.pid})`);
      await expect.poll(readers).not.toEqual([reader]);
      return standby;
    },
    /** All that the primary has written is with the standby. */
    caughtUp: async () => {
      const [{ lsn }] = (await primary.query("SELECT pg_current_wal_flush_lsn() AS lsn")) as [
        { lsn: string },
      ];
      await expect
        .poll(() => standby?.query(`SELECT 1 WHERE pg_last_wal_receive_lsn() >= '${lsn}'`))
        .toHaveLength(1);
    },
    /** The standby gets nothing more, of what is written much further on. */
    cut: async () => {
      line.blackHole();
      await primary.query("SELECT pg_switch_wal()");
    },
    /** All is as it has to be, and the address leads to the standby, which has yet to take over. */
    handedOver: async () => {
      await shutDown(primary);
      if (standby !== undefined) address.retarget(standby.port);
    },
    /** It takes over, has written more than ever the old primary had, and then is where that was. */
    promoted: async (id: number) => {
      await primary.stop();
      await standby?.query("SELECT pg_promote()");
      await standby?.query(`INSERT INTO orders VALUES (${id})`);
      for (let segment = 0; segment < 2; segment += 1)
        await standby?.query("SELECT pg_logical_emit_message(false, 'test', 'more'), pg_switch_wal()");
      await standby?.query("INSERT INTO orders VALUES (100)");
      if (standby !== undefined) address.retarget(standby.port);
    },
  };
}

describe.skipIf(postgresVersion < 17)("a standby that takes over from a source that reads on", () => {
  it.each(["at once", "as planned"])("is gone on with if it has all that was read, %s", async (how) => {
    const { primary, at, standby, caughtUp, handedOver, promoted } = await followed();
    const redis = fakeRedis();
    const attempts: unknown[] = [];
    const { failures } = start(at, redis, { failed: { next: ({ error }) => attempts.push(error) } });
    const next = await standby();
    for (const id of upTo(4)) await insert(primary, id);
    await expect.poll(() => ids(redis)).toEqual(upTo(4));
    await caughtUp();
    if (how === "as planned") {
      await handedOver();
      const tooEarly = {
        message:
          "slot shop: found the copy of a standby, expected the primary: it is read as soon as the standby takes over",
      };
      await expect.poll(() => attempts).toContainEqual(expect.objectContaining(tooEarly));
    }

    await promoted(5);

    await expect.poll(() => ids(redis)).toEqual([...upTo(5), 100]);
    await insert(next, 101);
    await expect.poll(() => ids(redis)).toEqual([...upTo(5), 100, 101]);
    expect(failures).toEqual([]);
  });

  it("is refused if it lacks what was read, as what it wrote instead would be left out", async () => {
    const { primary, at, standby, caughtUp, cut, promoted } = await followed();
    const redis = fakeRedis();
    const { failures } = start(at, redis);
    const next = await standby();
    for (const id of upTo(3)) await insert(primary, id);
    await caughtUp();
    await cut();
    await insert(primary, 4);
    await expect.poll(() => ids(redis)).toEqual(upTo(4));

    await promoted(5);

    await expect
      .poll(() => failures)
      .toMatchObject([
        {
          _tag: "PositionUnavailable",
          message: expect.stringMatching(
            /^found another log than the one that was read, from 0\/\w+ on: .* up to position 0\/\w+:1 is left out; drop the slot, if it stands; then start once with/,
          ),
        },
      ]);
    expect(ids(redis)).toEqual(upTo(4));

    // Another process has not seen it happen.
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const again = start(at, redis);
      await expect
        .poll(() => again.failures)
        .toMatchObject([
          {
            _tag: "PositionUnavailable",
            message: expect.stringMatching(/^found no transaction at position 0\/\w+:1, expected/),
          },
        ]);
    }
    expect(ids(redis)).toEqual(upTo(4));

    await next.query("SELECT pg_drop_replication_slot('shop')");
    const mending = start(at, redis, { acceptHole: true, snapshot: "initial" });
    await expect.poll(() => told(redis).slice(4)).toEqual(["t", ...[1, 2, 3, 5, 100].map((id) => `r ${id}`)]);
    expect(mending.failures).toEqual([]);
  });

  it("is read anew if it lacks what was read, where the slot is the only mark and that is accepted", async () => {
    const { primary, at, standby, caughtUp, cut, promoted } = await followed();
    const holes: unknown[] = [];
    const source = postgresChanges({
      ...{ connectionString: at.connectionString, slot: "shop", publication: "shop", failover: true },
      ...{ acceptHole: true, snapshot: "initial", opened: { next: ({ hole }) => holes.push(hole) } },
    });
    const changes = collect(source(undefined, NEVER));
    ending.push(changes.unsubscribe);
    await standby();
    for (const id of upTo(3)) await insert(primary, id);
    await caughtUp();
    await cut();
    await insert(primary, 4);
    await changes.has(4);

    await promoted(5);

    await expect
      .poll(() => changes.events.slice(4).map(({ op, after }) => [op, after?.id]))
      .toEqual([["c", 100], ["t", undefined], ...[1, 2, 3, 5, 100].map((id) => ["r", id])]);
    expect(holes.filter((hole) => hole !== undefined)).toEqual([
      expect.stringMatching(/^found another log than the one that was read/),
    ]);
    expect(changes.failures).toEqual([]);
  });
});

describe("failover", () => {
  it("is refused for a slot that stands without it, and by a version that has none", async () => {
    const { connectionString, query } = await started(startPostgres());
    const failure = (slot: string) =>
      new Promise((resolve) =>
        postgresChanges({ connectionString, slot, failover: true, acceptHole: true })(
          undefined,
          NEVER,
        ).subscribe({ error: resolve }),
      );
    await query("SELECT pg_create_logical_replication_slot('plain', 'pgoutput')");

    expect(await failure("plain")).toMatchObject({
      _tag: "NotConfigured",
      message: expect.stringContaining("ALTER_REPLICATION_SLOT plain (FAILOVER true)"),
    });
    if (postgresVersion < 17) {
      expect(await failure("other")).toMatchObject({
        _tag: "NotConfigured",
        message: expect.stringContaining("failover takes PostgreSQL 17 or later"),
      });
    } else {
      const replicating = new Client({ connectionString, ...{ replication: "database" } });
      await replicating.connect();
      await replicating.query("ALTER_REPLICATION_SLOT plain (FAILOVER true)");
      await replicating.end();
      expect(await query("SELECT failover FROM pg_replication_slots")).toEqual([{ failover: true }]);
    }
  });
});
