import {
  filter,
  firstValueFrom,
  from,
  lastValueFrom,
  map,
  merge,
  NEVER,
  range,
  Subject,
  toArray,
} from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  type Checkpoint,
  fromIterable,
  isRxaddError,
  type RedisSink,
  redisSink,
  replicate,
  type SinkOptions,
  type SinkStatus,
  type Source,
} from "../../src/index.ts";
import { readEvents } from "../kit/load/tally.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

interface Row {
  readonly id: string;
  readonly position: number;
  readonly transaction?: { readonly id: string; readonly last?: boolean };
}

const redis = emptyRedis();
const stream = "orders.events";

function sinkOf(settings: Partial<SinkOptions<Row, number>> = {}): RedisSink<Row, number> {
  return redisSink<Row, number>({ id: "shop", uri: redis.uri, stream, ...settings });
}

/** The rows of a transaction that stand at one position. */
function transaction(position: number, rows: number, isMarked: boolean): readonly Row[] {
  return Array.from({ length: rows }, (_, index) => ({
    id: `${position}/${index + 1}`,
    position,
    transaction: { id: `t${position}`, ...(isMarked && { last: index + 1 === rows }) },
  }));
}

const ids = async () => (await readEvents(redis.client, stream)).map((event) => JSON.parse(event).id);
const tagOf = (reason: unknown) => (isRxaddError(reason) ? reason._tag : `${reason}`);

/** What a writer ends with, and what it said until then. */
function told(checkpoints$: ReturnType<RedisSink<Row, number>>) {
  const checkpoints: Checkpoint<number>[] = [];
  const ended = new Promise<string>((resolve) => {
    const running = checkpoints$.subscribe({
      next: (checkpoint) => checkpoints.push(checkpoint),
      error: (error) => resolve(tagOf(error)),
      complete: () => resolve("done"),
    });
    onTestFinished(() => running.unsubscribe());
  });
  return { checkpoints, ended };
}

const row = (position: number): Row => ({ id: `${position}`, position });

/** A writer that has opened its lane, and takes rows by hand. */
async function writer(settings: Partial<SinkOptions<Row, number>> = {}) {
  const rows = new Subject<Row>();
  const opened = new Subject<SinkStatus>();
  const open = firstValueFrom(opened.pipe(filter(({ state }) => state === "opened")));
  const run = told(rows.pipe(sinkOf({ ...settings, status: opened })));
  await open;
  return { rows, ...run };
}

describe.each(["script", "multi"] as const)("exactly once with publish: %s", (publish) => {
  it("fences the older of two writers, when Redis has lost one opening and both have the same epoch", async () => {
    const older = await writer({ publish });
    await redis.client.flushall();
    const newer = await writer({ publish });
    newer.rows.next(row(1));
    newer.rows.next(row(2));
    await waitUntil(() => newer.checkpoints.at(-1)?.position === 2);

    older.rows.next(row(3));

    expect(await older.ended).toBe("Fenced");
    expect(older.checkpoints).toEqual([]);
    newer.rows.complete();
    expect(await newer.ended).toBe("done");
    expect(await ids()).toEqual(["1", "2"]);
  });

  it("publishes the rest of a transaction at one position that was split, after the writer died in its middle", async () => {
    const rows = transaction(7, 12_000, true);
    const source: Source<Row, number> = (_from, flow) => fromIterable(rows, flow);
    const first = await firstValueFrom(replicate({ source, sink: sinkOf({ publish }) }));
    // What was on its way when the writer died may still arrive.
    const there = (await ids()).length;

    const checkpoints = await lastValueFrom(replicate({ source, sink: sinkOf({ publish }) }).pipe(toArray()));

    expect(there).toBeLessThan(12_000);
    expect(first.position).toBeUndefined();
    expect(checkpoints.at(-1)?.position).toBe(7);
    const replayed = checkpoints.reduce((sum, { replayed }) => sum + replayed, 0);
    expect(replayed).toBeGreaterThanOrEqual(there);
    expect(replayed).toBeLessThan(12_000);
    expect(await ids()).toEqual(rows.map(({ id }) => id));
  });

  it("publishes the rest of a transaction without marks that paused, after the writer died in its middle", async () => {
    const rows = [...transaction(6, 1, false), ...transaction(7, 6, false)];
    const firstRun = told(merge(from(rows.slice(0, 4)), NEVER).pipe(sinkOf({ publish })));
    await waitUntil(async () => (await ids()).length === 4);
    const again = told(merge(from(rows.slice(0, 4)), NEVER).pipe(sinkOf({ publish })));
    await waitUntil(() => again.checkpoints.reduce((sum, { replayed }) => sum + replayed, 0) === 4);

    await lastValueFrom(from(rows).pipe(sinkOf({ publish })));

    for (const { checkpoints } of [firstRun, again]) expect(checkpoints.at(-1)?.position).toBe(6);
    expect(await ids()).toEqual(rows.map(({ id }) => id));
  });

  it("never takes a checkpoint back when the source goes back within a run, and tells of it", async () => {
    const positions = [1, 2, 3, 4, 5, 3, 4, 5, 6];
    const statuses: SinkStatus[] = [];
    const status = { next: (now: SinkStatus) => statuses.push(now) };
    const checkpoints = await lastValueFrom(
      from(positions.map(row)).pipe(sinkOf({ publish, status, batch: { maxEvents: 1 } }), toArray()),
    );

    expect(checkpoints.map(({ position }) => position)).toEqual([1, 2, 3, 4, 5, 5, 5, 5, 6]);
    expect(checkpoints.reduce((sum, { replayed }) => sum + replayed, 0)).toBe(3);
    expect(statuses).toContainEqual({ state: "replayed", stream, events: 3, position: 5 });
    expect(statuses).toContainEqual({
      state: "warning",
      message: expect.stringContaining("event 3 stands at position 3, which had gone by in this run"),
    });
    expect(await ids()).toEqual(["1", "2", "3", "4", "5", "6"]);
  });

  it("counts what an earlier run has published as replayed", async () => {
    const rows = range(1, 700).pipe(map(row));
    await lastValueFrom(rows.pipe(sinkOf({ publish })));
    const statuses: SinkStatus[] = [];
    const status = { next: (now: SinkStatus) => statuses.push(now) };

    const checkpoints = await lastValueFrom(rows.pipe(sinkOf({ publish, status }), toArray()));

    expect(checkpoints.map(({ events, replayed }) => [events, replayed])).toEqual([
      [500, 500],
      [200, 200],
    ]);
    expect(statuses.filter(({ state }) => state === "replayed")).toEqual([
      { state: "replayed", stream, events: 700, position: 700 },
    ]);
    // Nobody has opened the source where the stream stands: what it sends may be new, under positions that begin anew.
    expect(statuses.flatMap((now) => (now.state === "warning" ? [now.message] : []))).toEqual([
      expect.stringMatching(
        `^${stream}: the source begins with what stands in the stream already, .* 500 events up to position 500 are left out`,
      ),
    ]);
  });

  it("warns of nothing where replicate opens a source that begins before what is there", async () => {
    await lastValueFrom(range(1, 3).pipe(map(row), sinkOf({ publish })));
    const statuses: SinkStatus[] = [];
    const status = { next: (now: SinkStatus) => statuses.push(now) };
    const source: Source<Row, number> = () => range(1, 4).pipe(map(row));

    await lastValueFrom(replicate({ source, sink: sinkOf({ publish, status }) }));

    expect(await ids()).toEqual(["1", "2", "3", "4"]);
    expect(statuses.filter(({ state }) => state === "replayed")).toMatchObject([{ events: 3, position: 3 }]);
    expect(statuses.some(({ state }) => state === "warning")).toBe(false);
  });

  it.each([
    { streams: "a fixed stream", settings: {} },
    { streams: "computed streams", settings: { stream: () => stream } },
  ])(
    "refuses to begin again at every start while $streams stand without their state",
    async ({ settings }) => {
      await lastValueFrom(range(1, 3).pipe(map(row), sinkOf({ publish, ...settings })));
      const [state = ""] = (await redis.client.keys("*rxadd:shop")) ?? [];
      await redis.client.del(state);

      for (let start = 0; start < 2; start += 1) {
        const run = told(range(1, 4).pipe(map(row), sinkOf({ publish, ...settings })));
        expect(await run.ended).toBe("ProducerStateMissing");
      }
      expect(await ids()).toEqual(["1", "2", "3"]);

      await lastValueFrom(from([row(4)]).pipe(sinkOf({ publish, adopt: true, ...settings })));
      expect(await ids()).toEqual(["1", "2", "3", "4"]);
    },
  );

  it.each([
    { streams: "a fixed stream", settings: {}, full: stream },
    {
      streams: "computed streams",
      settings: { stream: ({ position }: Row) => (position === 3 ? "full" : "other") },
      full: "full",
    },
  ])(
    "takes a batch back as a whole when $streams run out of IDs in its middle",
    async ({ settings, full }) => {
      const last = "18446744073709551615";
      await redis.client.xadd(
        full,
        `${last}-${full === "full" ? last : "18446744073709551613"}`,
        "event",
        "{}",
      );
      const batch = { lingerMs: 50 };

      const run = told(range(1, 4).pipe(map(row), sinkOf({ publish, batch, ...settings })));

      expect(await run.ended).toBe("Refused");
      expect(run.checkpoints).toEqual([]);
      expect(await redis.client.xlen(full)).toBe(1);
      expect(await redis.client.xlen("other")).toBe(0);
      const [state = ""] = await redis.client.keys("*rxadd:shop");
      expect(await redis.client.hmget(state, "sequence", "position")).toEqual(["0", ""]);
    },
  );
});
