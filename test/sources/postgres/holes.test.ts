import { firstValueFrom, Subject, Subscription } from "rxjs";
import { afterEach, describe, expect, it } from "vitest";
import { type Checkpoint, type Lsn, redisSink, replicate, type SinkStatus } from "../../../src/index.ts";
import type { OpenedSlot, PostgresOptions } from "../../../src/sources/postgres/index.ts";
import { type FakeRedis, fakeRedis } from "../../../src/testing/index.ts";
import { postgresVersion } from "../../kit/servers/postgresServer.ts";
import { type Change, postgresBed } from "./postgresBed.ts";

const bed = postgresBed();
const stream = "orders";
const leftOut =
  postgresVersion < 18
    ? /publication "pub_\d+" does not exist; drop the slot, if it stands; then start once with/
    : /changes were made while it did not stand, and PostgreSQL leaves them out/;

/** Ends before the bed looks whether the slot is free. */
let runs = new Subscription();
afterEach(() => {
  runs.unsubscribe();
  runs = new Subscription();
});

/** What a process does: a source and a sink of its own, and nothing that it remembers from an earlier one. */
function start(redis: FakeRedis, options: Partial<PostgresOptions> = {}, adopt = false) {
  const checkpoints: Checkpoint<Lsn>[] = [];
  const slots: OpenedSlot[] = [];
  const failures: unknown[] = [];
  const ended = new Subject<void>();
  const states: string[] = [];
  const status = { next: ({ state }: SinkStatus) => states.push(state) };
  const sink = redisSink<Change, Lsn>({ id: "shop", connection: redis, stream, status, adopt });
  const source = bed.source({ acceptHole: false, opened: { next: (slot) => slots.push(slot) }, ...options });
  const running = replicate({ source, sink }).subscribe({
    next: (checkpoint) => checkpoints.push(checkpoint),
    error: (error) => {
      failures.push(error);
      ended.next();
    },
  });
  runs.add(running);
  return {
    checkpoints,
    states,
    slots,
    failures,
    failure: async (): Promise<unknown> => {
      if (failures.length === 0) await firstValueFrom(ended);
      return failures[0];
    },
    stop: async () => {
      running.unsubscribe();
      await bed.idle();
    },
  };
}

const ids = (redis: FakeRedis) => redis.events(stream).map((event) => JSON.parse(event).after.id);
const has = (redis: FakeRedis, ...expected: readonly number[]) =>
  expect.poll(() => ids(redis)).toEqual(expected);
const hasPosition = (redis: FakeRedis) => expect.poll(() => redis.position("shop", stream)).toBeTruthy();
const insert = (id: number) => bed.query(`INSERT INTO orders VALUES (${id}, 'tea', 1)`);

/** A run that has published 1 to `count`, and has confirmed them. */
async function published(count: number): Promise<FakeRedis> {
  const redis = fakeRedis();
  const run = start(redis);
  await bed.reading();
  for (let id = 1; id <= count; id += 1) await insert(id);
  await expect.poll(() => ids(redis).length).toBe(count);
  const position = redis.position("shop", stream) ?? "";
  await expect.poll(bed.confirmedLsn).toBe(position.replace(/:.*$/, ""));
  await run.stop();
  return redis;
}

/** As a supervisor does: each start is refused, and changes nothing. */
async function isRefusedAtEachStart(redis: FakeRedis, message: RegExp): Promise<void> {
  const before = await bed.query("SELECT slot_name, confirmed_flush_lsn FROM pg_replication_slots");
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const run = start(redis);
    expect(await run.failure()).toMatchObject({
      _tag: "PositionUnavailable",
      message: expect.stringMatching(message),
    });
    await run.stop();
  }
  expect(await bed.query("SELECT slot_name, confirmed_flush_lsn FROM pg_replication_slots")).toEqual(before);
}

describe("a first run", () => {
  it("leaves a position in Redis before there is a change", async () => {
    const redis = fakeRedis();
    const run = start(redis);

    await hasPosition(redis);

    await expect.poll(() => run.checkpoints).toMatchObject([{ events: 0 }]);
    expect(redis.position("shop", stream)).toBe(run.slots[0]?.confirmedLsn);
    expect(redis.entries(stream)).toEqual([]);
    await run.stop();
    await insert(1);
    start(redis);
    await has(redis, 1);
  });

  it("that ended before Redis had its position is not taken for one again, until its slot is dropped", async () => {
    await bed.openSlot();
    await insert(1);
    const redis = fakeRedis();

    await isRefusedAtEachStart(
      redis,
      /if this is a first run, drop the slot: SELECT pg_drop_replication_slot/,
    );

    await bed.query(`SELECT pg_drop_replication_slot('${bed.slot()}')`);
    start(redis);
    await hasPosition(redis);
    await insert(2);
    await has(redis, 2);
  });

  it("goes on when the connection is lost before there is a change", async () => {
    const redis = fakeRedis();
    start(redis);
    await hasPosition(redis);

    await bed.reading();
    await bed.query(`SELECT pg_terminate_backend(${await bed.activePid()})`);
    await insert(1);

    await has(redis, 1);
  });
});

describe("changes that are gone", () => {
  it("are refused at each start after Redis has lost everything under way", async () => {
    const redis = fakeRedis();
    const run = start(redis);
    await bed.reading();
    await insert(1);
    await insert(2);
    await has(redis, 1, 2);
    await expect.poll(bed.confirmedLsn).toBe(redis.position("shop", stream)?.replace(/:.*$/, ""));
    redis.del(stream);
    redis.del("{orders}:rxadd:shop");
    await insert(3);

    expect(await run.failure()).toMatchObject({ _tag: "PositionUnavailable" });
    await run.stop();

    await isRefusedAtEachStart(redis, /no position to go on from/);
  });

  it("are refused at each start after Redis has lost everything in between", async () => {
    await published(2);
    await insert(3);

    await isRefusedAtEachStart(fakeRedis(), /no position to go on from/);
  });

  it("are refused at each start after Redis has lost its newest writes", async () => {
    const redis = await published(1);
    const early = redis.position("shop", stream) ?? "";
    const run = start(redis);
    await bed.reading();
    await insert(2);
    await has(redis, 1, 2);
    await expect.poll(bed.confirmedLsn).not.toBe(early.replace(/:.*$/, ""));
    await run.stop();
    redis.setPosition("shop", early, stream);

    await isRefusedAtEachStart(redis, /were acknowledged and slot slot_\d+ keeps them no longer/);
  });

  it("are refused at each start after the slot was dropped, and none is made", async () => {
    const redis = await published(1);
    await bed.query(`SELECT pg_drop_replication_slot('${bed.slot()}')`);
    await insert(2);

    await isRefusedAtEachStart(redis, /slot slot_\d+: found none, expected the one of the earlier runs/);
  });

  it("are refused at each start after the publication was dropped, and none is made", async () => {
    const redis = await published(1);
    await bed.query(`DROP PUBLICATION ${bed.publication()}`);
    await insert(2);

    await isRefusedAtEachStart(
      redis,
      /publication pub_\d+: found none, expected the one of the earlier runs/,
    );
    expect(await bed.query("SELECT 1 FROM pg_publication")).toEqual([]);
  });

  it("are refused at each start after the publication was dropped and made again by somebody", async () => {
    const redis = await published(1);
    await bed.query(`DROP PUBLICATION ${bed.publication()}`);
    await insert(2);
    await bed.query(`CREATE PUBLICATION ${bed.publication()} FOR ALL TABLES`);
    await insert(3);

    await isRefusedAtEachStart(redis, leftOut);
    expect(ids(redis)).toEqual([1]);
  });

  it("end the source when the publication is dropped under way, after what came before", async () => {
    const redis = fakeRedis();
    const run = start(redis);
    await bed.reading();
    await insert(1);
    await bed.query(`DROP PUBLICATION ${bed.publication()}`);
    await insert(2);

    expect(await run.failure()).toMatchObject({ _tag: "PositionUnavailable" });

    expect(ids(redis)).toEqual([1]);
    await run.stop();
    await isRefusedAtEachStart(redis, /publication pub_\d+: found none/);
  });
});

describe("acceptHole", () => {
  it("goes on with what is there, says what is gone, and is needed once", async () => {
    await published(2);
    await insert(3);
    const redis = fakeRedis();

    const accepting = start(redis, { acceptHole: true });
    await hasPosition(redis);
    expect(accepting.slots[0]?.hole).toMatch(/no position to go on from/);
    await accepting.stop();
    const next = start(redis);
    await insert(4);

    await expect.poll(() => ids(redis).slice(-2)).toEqual([3, 4]);
    expect(next.slots[0]?.hole).toBeUndefined();
  });

  it("is no word on what Redis loses later in the same run", async () => {
    const redis = await published(1);
    const accepting = start(redis, { acceptHole: true });
    await bed.reading();
    await insert(2);
    await has(redis, 1, 2);
    const position = redis.position("shop", stream) ?? "";
    await expect.poll(bed.confirmedLsn).toBe(position.replace(/:.*$/, ""));

    redis.del(stream);
    redis.del(`{${stream}}:rxadd:shop`);
    await insert(3);

    expect(await accepting.failure()).toMatchObject({ _tag: "PositionUnavailable" });
  });

  it("makes a slot anew", async () => {
    const redis = await published(1);
    await bed.query(`SELECT pg_drop_replication_slot('${bed.slot()}')`);
    await insert(2);

    const accepting = start(redis, { acceptHole: true });
    await bed.reading();
    await expect.poll(() => accepting.checkpoints.length).toBe(1);
    await accepting.stop();
    start(redis);
    await insert(3);

    await has(redis, 1, 3);
  });

  it("makes a publication anew, and leaves out what was not published", async () => {
    const redis = await published(1);
    await insert(9);
    await bed.query(`DROP PUBLICATION ${bed.publication()}`);
    await insert(2);

    const accepting = start(redis, { acceptHole: true });
    await bed.reading();
    await insert(3);

    // Before PostgreSQL 18 what was published before that goes with it.
    await (postgresVersion < 18 ? has(redis, 1, 3) : has(redis, 1, 9, 3));
    expect(accepting.failures).toEqual([]);
    expect(accepting.slots.map(({ hole }) => hole)).toContainEqual(
      expect.stringMatching(postgresVersion < 18 ? /no changes of tables that were not published/ : leftOut),
    );
  });
});

describe("acceptHole with snapshot: initial", () => {
  const mending = { acceptHole: true, snapshot: "initial" } as const;

  /** What a table holds for who follows the stream. */
  function followed(redis: FakeRedis): unknown[] {
    const rows = new Map<number, unknown>();
    for (const { op, before, after } of redis.events(stream).map((event): Change => JSON.parse(event))) {
      if (op === "t") rows.clear();
      else if (after === null) rows.delete(Number(before?.id));
      else rows.set(Number(after.id), after);
    }
    return [...rows].toSorted(([a], [b]) => a - b).map(([, row]) => row);
  }

  const table = () => bed.query("SELECT * FROM orders ORDER BY id");

  /** The stream comes to have what the table has, also when more changes come, and each start from then on is well. */
  async function mends(redis: FakeRedis, adopt = false): Promise<void> {
    const accepting = start(redis, mending, adopt);
    await bed.reading();
    await bed.query("UPDATE orders SET amount = 2 WHERE id = 4");
    await expect.poll(async () => followed(redis)).toEqual(await table());
    await bed.query("INSERT INTO orders VALUES (100, 'milk', 1)");
    await expect.poll(async () => followed(redis)).toEqual(await table());
    expect(accepting.failures).toEqual([]);
    await accepting.stop();

    await bed.query("DELETE FROM orders WHERE id = 100");
    const events = redis.entries(stream).length;
    const next = start(redis, { snapshot: "initial" });
    await expect.poll(() => redis.entries(stream).length).toBe(events + 1);
    expect(followed(redis)).toEqual(await table());
    expect(next.failures).toEqual([]);
  }

  /** Rows that the stream has, and that are changed or deleted where nobody sees it. */
  async function unseen(): Promise<void> {
    await bed.query("DELETE FROM orders WHERE id IN (1, 2)");
    await bed.query("UPDATE orders SET item = 'coffee' WHERE id = 3");
    await bed.query("UPDATE orders SET id = 50 WHERE id = 5");
    await insert(7);
  }

  it("has the stream have the table again after the slot was dropped", async () => {
    const redis = await published(6);
    await bed.query(`SELECT pg_drop_replication_slot('${bed.slot()}')`);
    await unseen();

    await isRefusedAtEachStart(
      redis,
      /found none, .*; start once with acceptHole: true, .* snapshot: initial/,
    );
    await mends(redis);
  });

  it("has the stream have the table again after the server has given the slot up", async () => {
    const redis = await published(6);
    await unseen();
    await bed.query("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
    try {
      await bed.query("SELECT pg_reload_conf()");
      for (let segment = 0; segment < 3; segment += 1)
        await bed.query("SELECT pg_logical_emit_message(false, 'test', 'more'), pg_switch_wal()");
      await bed.query("CHECKPOINT");
      await isRefusedAtEachStart(
        redis,
        /(can no longer|cannot read from logical replication slot) .*; drop the slot, if it stands; then start once with/,
      );
    } finally {
      await bed.query("ALTER SYSTEM RESET max_slot_wal_keep_size");
      await bed.query("SELECT pg_reload_conf()");
    }

    await bed.query(`SELECT pg_drop_replication_slot('${bed.slot()}')`);
    await mends(redis);
  });

  it("fills a stream of a Redis that came back empty", async () => {
    await published(6);
    await unseen();
    const redis = fakeRedis();

    await isRefusedAtEachStart(redis, /no position to go on from: .*; start once with acceptHole: true/);
    await mends(redis);
  });

  it("has the stream have the table again after Redis has lost its newest writes", async () => {
    const redis = await published(6);
    const early = redis.position("shop", stream) ?? "";
    const run = start(redis);
    await bed.reading();
    await unseen();
    await expect.poll(bed.confirmedLsn).not.toBe(early.replace(/:.*$/, ""));
    await expect.poll(() => redis.entries(stream).length).toBe(11);
    await run.stop();
    redis.setPosition("shop", early, stream);

    await mends(redis);
  });

  it("has the stream have the table again after the producer state was deleted, with adopt", async () => {
    const redis = await published(6);
    redis.del(`{${stream}}:rxadd:shop`);
    await unseen();
    const refused = start(redis);
    expect(await refused.failure()).toMatchObject({
      _tag: "ProducerStateMissing",
      message: expect.stringMatching(/adopt: true, .* with acceptHole: true and snapshot: initial$/),
    });
    await refused.stop();

    await mends(redis, true);
  });

  it("has the stream have the table again after the publication was dropped", async () => {
    const redis = await published(6);
    await bed.query(`DROP PUBLICATION ${bed.publication()}`);
    await unseen();

    await mends(redis);
  });

  it("has the stream have the table again after the publication was dropped and made again by somebody", async () => {
    const redis = await published(6);
    await bed.query(`DROP PUBLICATION ${bed.publication()}`);
    await unseen();
    await bed.query(`CREATE PUBLICATION ${bed.publication()} FOR ALL TABLES`);
    // Before 18 a server does not read on with it, so the slot goes, as the error says.
    if (postgresVersion < 18) await bed.query(`SELECT pg_drop_replication_slot('${bed.slot()}')`);

    await mends(redis);
  });
});

describe("the slot", () => {
  /** Log that does not concern the published table. */
  async function otherLog(): Promise<string> {
    await bed.query("INSERT INTO busy SELECT generate_series(1, 1000)");
    return (await bed.query("SELECT pg_current_wal_insert_lsn()::text AS lsn"))[0]?.lsn;
  }

  /** The server asks often how far we are. */
  async function withBusyTable(test: (options: Partial<PostgresOptions>) => Promise<void>): Promise<void> {
    await bed.query("CREATE TABLE busy (id int)");
    await bed.query("ALTER ROLE postgres SET wal_sender_timeout = '900ms'");
    try {
      await test({ tables: ["public.orders"] });
    } finally {
      await bed.query("ALTER ROLE postgres RESET ALL");
    }
  }

  it("moves past log without a change once Redis has that position", async () => {
    await withBusyTable(async (options) => {
      const redis = fakeRedis();
      const run = start(redis, options);
      await hasPosition(redis);
      const lsn = await otherLog();

      await expect
        .poll(() => bed.query(`SELECT 1 FROM pg_replication_slots WHERE confirmed_flush_lsn >= '${lsn}'`))
        .toHaveLength(1);

      await run.stop();
      const again = start(redis, options);
      await bed.reading();
      await insert(1);
      await has(redis, 1);
      expect(again.failures).toEqual([]);
    });
  });

  it("stays where Redis stands while Redis is away, however often the server asks", async () => {
    await withBusyTable(async (options) => {
      const redis = fakeRedis({ replies: "o 3s x" });
      const run = start(redis, options);
      await hasPosition(redis);
      await expect
        .poll(async () => {
          await otherLog();
          return run.states;
        })
        .toContain("retrying");
      const replied = "SELECT reply_time::text AS at FROM pg_stat_replication";
      const [first] = await bed.query(replied);

      await expect.poll(async () => (await bed.query(replied))[0]).not.toEqual(first);

      expect(await bed.confirmedLsn()).toBe(redis.position("shop", stream));
    });
  });
});

describe("flow", () => {
  it.each([200, 500, 1000])("is heeded within a chunk: a buffer of %i never overflows", async (maxEvents) => {
    const redis = fakeRedis();
    const failures: unknown[] = [];
    const sink = redisSink<Change, Lsn>({ id: "shop", connection: redis, stream, buffer: { maxEvents } });
    const running = replicate({ source: bed.source(), sink }).subscribe({
      error: (error) => failures.push(error),
    });
    runs.add(running);
    await bed.reading();

    await bed.query("INSERT INTO orders SELECT generate_series(1, 20000)");
    await expect.poll(() => failures.length > 0 || redis.entries(stream).length === 20_000).toBe(true);

    expect(failures).toEqual([]);
    expect(ids(redis)).toEqual(Array.from({ length: 20_000 }, (_, index) => index + 1));
  });
});
