import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { NEVER } from "rxjs";
import { afterEach, describe, expect, it } from "vitest";
import { redisSink, replicate } from "../../../src/index.ts";
import { type PostgresOptions, postgresChanges } from "../../../src/sources/postgres/index.ts";
import { type FakeRedis, fakeRedis } from "../../../src/testing/index.ts";
import { type PostgresServer, postgresVersion, startPostgres } from "../../kit/servers/postgresServer.ts";
import { upTo } from "./postgresBed.ts";

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
function standbyOf({ port, query }: Server): Promise<Server> {
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
    await expect
      .poll(() =>
        standby.query(
          "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'shop' AND synced AND NOT temporary",
        ),
      )
      .toHaveLength(1);
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
