import { NEVER } from "rxjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { backfill, postgresChanges } from "../../src/sources/postgres/index.ts";
import { type PostgresServer, startPostgres } from "../kit/servers/postgresServer.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import { noCheckAof } from "./harness/appendOnlyFile.ts";
import { form } from "./harness/form.ts";
import { durable } from "./harness/oneServer.ts";
import type { Shape } from "./harness/rowWork.ts";
import { expectTable, SnapshotScene } from "./harness/snapshotScene.ts";

const isLong = form === "long";
const timeout = isLong ? 1_200_000 : 120_000;
/** What a process of rxadd may need: what it does for changes alone, 240 MiB, and pieces of a table; a million rows are more than 500. */
const mostMiB = 64 + 240;

const numbered: Shape = { table: "numbered", columns: "id int", key: ["id"], keyOf: (n) => `${n}` };
const composite: Shape = {
  table: "composite",
  columns: "shop text, number int",
  key: ["shop", "number"],
  keyOf: (n) => `'shop ' || (${n}) % 7, ${n}`,
};
/** Its order is neither that of bytes nor that of numbers. */
const named: Shape = {
  table: "named",
  columns: 'name text COLLATE "de-x-icu"',
  key: ["name"],
  keyOf: (n) => `(ARRAY['a', 'B', 'ä', 'Z', 'é/', '_%', 'ß ', ''])[(${n}) % 8 + 1] || ${n}`,
};
const parted: Shape = { ...numbered, table: "parted", partitions: 4 };

describe("snapshot", () => {
  let postgres: PostgresServer;
  let redis: RedisServer;
  beforeAll(async () => {
    postgres = await startPostgres({ max_wal_size: "8GB" });
    // A rewrite in the middle of a kill is another fault.
    redis = await startRedis([...durable, "--auto-aof-rewrite-percentage", "0"]);
  });
  afterAll(async () => {
    await redis.stop();
    await postgres.stop();
  });

  it.for([
    ["a number", numbered, { short: [20_000, 4, 1], long: [1_000_000, 20, 5] }],
    ["a text and a number", composite, { short: [5_000, 2, 1], long: [1_000_000, 20, 5] }],
    ["text in an order of its own", named, { short: [5_000, 2, 1], long: [1_000_000, 20, 5] }],
    [
      "a number, in four partitions side by side",
      parted,
      { short: [20_000, 2, 1], long: [1_000_000, 20, 5] },
    ],
  ] as const)(
    "a table, its key %s, is read while it is changed, and rxadd and its servers are killed: 0 / 0 / 0",
    { timeout, skip: noCheckAof !== undefined },
    async (
      [
        ,
        shape,
        {
          [form]: [rows, kills, restarts],
        },
      ],
      context,
    ) => {
      const scene = await SnapshotScene.open(context, { postgres, redis }, shape, rows, "initial");
      const { random, rebuilt } = scene;
      const faults = [
        ...Array.from({ length: kills }, () => () => scene.killProcess()),
        ...Array.from({ length: restarts }, () => () => scene.restartPostgres()),
        ...Array.from({ length: restarts }, () => () => scene.killRedis()),
      ];
      const times = faults.length;
      const endWork = scene.work();
      await scene.process.start();
      for (let index = 0; index < times; index += 1) {
        // All of them while there are rows to be read: some have been changed, and are not read any more.
        const reads = (0.8 * rows * (index + random.between(1, 100) / 100)) / times;
        await scene.until(() => rebuilt.reads >= reads);
        const [inject] = faults.splice(random.between(0, faults.length - 1), 1);
        await inject?.();
      }
      // Also of rows that move without their large column there is an end.
      await scene.until(() => scene.isRead());
      await endWork();
      await scene.caughtUp();

      const fault = `${rows.toLocaleString("en")} rows (${shape.table}: ${shape.key}) read and changed, ${kills} kills, ${restarts} + ${restarts} restarts`;
      expectTable(await scene.compare({ fault, times, promise: "0 / 0 / 0: the table" }));
      expect(scene.process.memoryMiB).toBeLessThan(mostMiB);
    },
  );

  it("rows by one SELECT beside the changes, control: not the table", { timeout }, async (context) => {
    const scene = await SnapshotScene.open(context, { postgres, redis }, numbered, 20_000, "never");
    const { rebuilt, order } = scene;
    const publish = (event: object) =>
      void redis.client.xadd(order.stream, "*", "event", JSON.stringify(event));
    const changes$ = postgresChanges({ ...order.source, acceptHole: true })(undefined, NEVER);
    const changes = changes$.subscribe(publish);
    context.onTestFinished(() => changes.unsubscribe());
    const endWork = scene.work();
    await scene.until(() => rebuilt.events > 0);
    const rows = await scene.rowsThere();
    // Meanwhile the changes go on.
    const { events } = rebuilt;
    await scene.until(() => rebuilt.events > events + 500);
    for (const after of rows) publish({ op: "r", before: null, after });
    await endWork();
    await scene.caughtUp();

    const fault = "rows by one SELECT beside the changes, control";
    const { lost, inversions } = await scene.compare({
      fault,
      times: 1,
      promise: "rows are not as they are",
    });
    expect(lost).toBeGreaterThan(0);
    expect(inversions).toBeGreaterThan(0);
  });

  it("rows asked for while changes go on: 0 / 0 / 0, and the lag is as it was", {
    timeout,
  }, async (context) => {
    const [rows, perSecond] = isLong ? [1_000_000, 5_000] : [10_000, 1_000];
    const scene = await SnapshotScene.open(context, { postgres, redis }, numbered, rows, "onDemand");
    const { rebuilt, order } = scene;
    const lag = (changes: number) =>
      rebuilt.lagsMs.slice(-changes).sort((a, b) => a - b)[Math.floor(changes / 2)] ?? 0;
    await scene.process.start();
    const endWork = scene.work();
    const endUpdates = scene.updates(perSecond);
    // The first ones have waited for the process.
    await scene.until(() => rebuilt.lagsMs.length > 2 * perSecond);
    const before = lag(perSecond);
    await backfill({
      connectionString: postgres.connectionString,
      slot: order.stream,
      table: "public.numbered",
    });
    await scene.until(() => rebuilt.reads > 0 && scene.isRead());
    await scene.until(() => lag(perSecond / 4) <= 2 * before + 20);
    await Promise.all([endWork(), endUpdates()]);
    await scene.caughtUp();

    const fault = `${rows.toLocaleString("en")} rows asked for at ${perSecond.toLocaleString("en")} changes/s`;
    expectTable(
      await scene.compare({ fault, times: 1, promise: "0 / 0 / 0: the table; the lag is as it was" }),
    );
    expect(scene.process.memoryMiB).toBeLessThan(mostMiB);
  });
});
