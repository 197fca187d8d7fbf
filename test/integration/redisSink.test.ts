import { Redis } from "ioredis";
import {
  BehaviorSubject,
  concat,
  filter,
  firstValueFrom,
  lastValueFrom,
  map,
  of,
  ReplaySubject,
  range,
  Subject,
  throwError,
  toArray,
} from "rxjs";
import { describe, expect, it } from "vitest";
import {
  type ChangeEvent,
  type Checkpoint,
  type EventAccess,
  type Flow,
  fromIterable,
  isRxaddError,
  type Row,
  type RxaddError,
  redisSink,
  type SinkOptions,
  type SinkStatus,
} from "../../src/index.ts";
import { Skipped } from "../../src/pipeline/keepPositions.ts";
import { readEvents, tallyStream } from "../kit/load/tally.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

interface Numbered {
  readonly n: number;
  readonly position: number;
}

const redis = emptyRedis();

function numbered(from: number, count: number) {
  return range(from, count).pipe(map((n): Numbered => ({ n, position: n })));
}

function sink(settings: Partial<SinkOptions<Numbered, number>> = {}) {
  return redisSink<Numbered, number>({
    id: "orders-redis",
    uri: redis.uri,
    stream: "orders.events",
    ...settings,
  });
}

async function failureOf(result: Promise<unknown>): Promise<RxaddError> {
  const error = await result.then(
    () => new Error("it did not fail"),
    (reason) => reason,
  );
  if (!isRxaddError(error)) throw error;
  return error;
}

const zero = { lost: 0, duplicates: 0, inversions: 0 };

describe.each(["script", "multi"] as const)("redisSink with publish: %s", (publish) => {
  it("puts the event's JSON into the field event and emits a checkpoint for it", async () => {
    const event: ChangeEvent<Row, number> = {
      id: "1",
      op: "c",
      ts_ms: 1,
      source: { table: "orders" },
      before: null,
      after: { id: 7, note: "Zürich ✓" },
      position: 41,
    };

    const checkpoints = await lastValueFrom(
      of(event).pipe(
        redisSink({ id: "orders-redis", uri: redis.uri, stream: "orders.events", publish }),
        toArray(),
      ),
    );

    const [[entryId, fields] = ["", []]] = await redis.client.xrange("orders.events", "-", "+");
    expect(fields).toEqual(["event", JSON.stringify(event)]);
    expect(checkpoints).toEqual([
      {
        sink: "orders-redis",
        stream: "orders.events",
        position: 41,
        sequence: 1,
        events: 1,
        replayed: 0,
        entryId,
      },
    ]);
  });

  it("publishes what is left when the source completes, then completes", async () => {
    const checkpoints = await lastValueFrom(numbered(1, 1234).pipe(sink({ publish }), toArray()));

    expect(checkpoints.at(-1)?.position).toBe(1234);
    expect(checkpoints.reduce((sum, { events }) => sum + events, 0)).toBe(1234);
    expect(await tallyStream(redis.client, "orders.events", 1234)).toEqual({ entries: 1234, ...zero });
  });

  it("publishes none of the events again that an earlier run published", async () => {
    await lastValueFrom(numbered(1, 700).pipe(sink({ publish })));
    const checkpoint = await lastValueFrom(numbered(1, 1000).pipe(sink({ publish })));

    expect(checkpoint.position).toBe(1000);
    expect(await tallyStream(redis.client, "orders.events", 1000)).toEqual({ entries: 1000, ...zero });
  });

  it("emits a checkpoint for events that are in the stream already", async () => {
    await lastValueFrom(numbered(1, 700).pipe(sink({ publish })));
    const checkpoint = await lastValueFrom(numbered(1, 300).pipe(sink({ publish })));

    expect(checkpoint).toMatchObject({ position: 700, events: 300, replayed: 300 });
    expect(await redis.client.xlen("orders.events")).toBe(700);
  });

  it("fences the writer that opened the stream before", async () => {
    const first$ = new Subject<Numbered>();
    const opened = new Subject<SinkStatus>();
    const older = failureOf(lastValueFrom(first$.pipe(sink({ publish, status: opened }))));
    await new Promise<void>((resolve) => opened.subscribe(({ state }) => state === "opened" && resolve()));

    await lastValueFrom(numbered(1, 10).pipe(sink({ publish })));
    first$.next({ n: 11, position: 11 });

    expect(await older).toMatchObject({ _tag: "Fenced", details: { epoch: 1, storedEpoch: 2 } });
    expect(await tallyStream(redis.client, "orders.events", 10)).toEqual({ entries: 10, ...zero });
  });

  it("fences it by what is filtered out, too, for which a user may touch no other keys", async () => {
    const rules = ["reset", "on", ">password", "+@all", "~orders.events", "~{orders.events}:rxadd:*"];
    await redis.client.call("ACL", "SETUSER", "producer", ...rules);
    const uri = redis.uri.replace("://", "://producer:password@");
    const first$ = new Subject<Skipped<number>>();
    const opened = new Subject<SinkStatus>();
    const older = failureOf(lastValueFrom(first$.pipe(sink({ uri, publish, status: opened }))));
    await new Promise<void>((resolve) => opened.subscribe(({ state }) => state === "opened" && resolve()));

    await lastValueFrom(numbered(1, 10).pipe(sink({ uri, publish })));
    first$.next(new Skipped(11, undefined));

    expect(await older).toMatchObject({ _tag: "Fenced" });
  });

  it("warns of a stream that was deleted under way, and not of one that is yet to come", async () => {
    const events = new Subject<Numbered | Skipped<number>>();
    const status = new ReplaySubject<SinkStatus>();
    const checkpoints = new ReplaySubject<Checkpoint<number>>();
    events.pipe(sink({ publish, status })).subscribe(checkpoints);
    const safe = (position: number) =>
      firstValueFrom(checkpoints.pipe(filter((to) => to.position === position)));

    events.next(new Skipped(1, undefined));
    await safe(1);
    events.next({ n: 2, position: 2 });
    await safe(2);
    await redis.client.del("orders.events");
    events.next({ n: 3, position: 3 });
    events.complete();
    await lastValueFrom(checkpoints);
    status.complete();

    const warnings = await lastValueFrom(
      status.pipe(
        filter(({ state }) => state === "warning"),
        toArray(),
      ),
    );
    expect(warnings).toEqual([
      { state: "warning", message: "orders.events was deleted; it begins anew with batch 3" },
    ]);
  });

  it("adds the user's fields behind the field event", async () => {
    await lastValueFrom(
      numbered(1, 2).pipe(sink({ publish, event: { fields: ({ n }) => (n === 1 ? { key: "a" } : {}) } })),
    );

    const entries = await redis.client.xrange("orders.events", "-", "+");
    expect(entries.map(([, fields]) => fields)).toEqual([
      ["event", '{"n":1,"position":1}', "key", "a"],
      ["event", '{"n":2,"position":2}'],
    ]);
  });

  it("publishes to computed streams, each exactly once and in order, with one checkpoint over all", async () => {
    const settings = { publish, stream: "orders.${shard}", id: "s", uri: redis.uri };
    const events$ = range(1, 3000).pipe(map((n) => ({ n, position: n, shard: n % 7 })));

    const checkpoints = await lastValueFrom(events$.pipe(redisSink(settings), toArray()));
    await lastValueFrom(events$.pipe(redisSink(settings)));

    const positions = checkpoints.map(({ position }) => Number(position));
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
    expect(positions.at(-1)).toBe(3000);
    for (let shard = 0; shard < 7; shard += 1) {
      const events = (await readEvents(redis.client, `orders.${shard}`)).map((event) => JSON.parse(event).n);
      expect(events).toEqual(Array.from({ length: 3000 }, (_, i) => i + 1).filter((n) => n % 7 === shard));
    }
  });

  it("says in the checkpoint of computed streams where the last event went", async () => {
    const events$ = of({ position: 1, shard: "a" }, { position: 2, shard: "b" });

    const last = await lastValueFrom(
      events$.pipe(redisSink({ publish, stream: "orders.${shard}", id: "s", uri: redis.uri })),
    );

    const [entry] = await redis.client.xrevrange("orders.b", "+", "-", "COUNT", 1);
    expect(last).toMatchObject({ stream: "orders.b", position: 2, entryId: entry?.[0] });
  });

  it("puts further fields beside the event in computed streams too", async () => {
    const event: EventAccess<{ position: number; shard: string }, number> = {
      fields: ({ position }) => (position === 1 ? { key: "ä" } : {}),
    };
    const events$ = of({ position: 1, shard: "a" }, { position: 2, shard: "b" });
    const settings = { publish, stream: "orders.${shard}", id: "s", uri: redis.uri, event };

    await lastValueFrom(events$.pipe(redisSink(settings)));

    expect((await redis.client.xrange("orders.a", "-", "+"))[0]?.[1].slice(2)).toEqual(["key", "ä"]);
    expect((await redis.client.xrange("orders.b", "-", "+"))[0]?.[1].slice(2)).toEqual([]);
  });

  it("publishes nothing of a batch when one of its computed streams holds something else", async () => {
    await redis.client.set("orders.b", "text");
    const events$ = of({ position: 1, shard: "a" }, { position: 2, shard: "b" });
    const settings = { publish, stream: "orders.${shard}", id: "s", uri: redis.uri };

    const error = await failureOf(lastValueFrom(events$.pipe(redisSink(settings))));

    expect(error._tag).toBe("WrongType");
    expect(await redis.client.exists("orders.a")).toBe(0);
  });

  it("ends with WrongType at once when the key holds something else", async () => {
    await redis.client.set("orders.events", "text");

    const error = await failureOf(lastValueFrom(new Subject<Numbered>().pipe(sink({ publish }))));

    expect(error._tag).toBe("WrongType");
    expect(await redis.client.get("orders.events")).toBe("text");
  });

  it("asks for a rewind from the beginning when stream and producer state are gone", async () => {
    const events$ = new Subject<Numbered>();
    const result = failureOf(
      new Promise((_, reject) => {
        events$.pipe(sink({ publish })).subscribe({
          next: async ({ position }) => {
            if (position !== 1) return;
            await redis.client.flushall();
            events$.next({ n: 2, position: 2 });
          },
          error: reject,
        });
      }),
    );
    events$.next({ n: 1, position: 1 });

    expect(await result).toMatchObject({
      _tag: "RewindRequired",
      kind: "rewind",
      details: { position: undefined },
    });
  });

  it("asks for a rewind to what is left when acknowledged batches are gone", async () => {
    const events$ = new Subject<Numbered>();
    const state = "{orders.events}:rxadd:orders-redis";
    const result = failureOf(
      new Promise((_, reject) => {
        events$.pipe(sink({ publish })).subscribe({
          next: async ({ position = 0 }) => {
            if (position === 3) await redis.client.hset(state, { sequence: 1, position: "1" });
            events$.next({ n: position + 1, position: position + 1 });
          },
          error: reject,
        });
      }),
    );
    events$.next({ n: 1, position: 1 });

    expect(await result).toMatchObject({ _tag: "RewindRequired", details: { position: 1 } });
  });

  it("ends when the producer state is deleted while the stream stands", async () => {
    const events$ = new Subject<Numbered>();
    const result = failureOf(
      new Promise((_, reject) => {
        events$.pipe(sink({ publish })).subscribe({
          next: async () => {
            await redis.client.del("{orders.events}:rxadd:orders-redis");
            events$.next({ n: 2, position: 2 });
          },
          error: reject,
        });
      }),
    );
    events$.next({ n: 1, position: 1 });

    expect((await result)._tag).toBe("ProducerStateMissing");
  });
});

describe("redisSink", () => {
  it("publishes what came before an error of the source, emits its checkpoint, then fails with it", async () => {
    const positions: number[] = [];
    const failure = new Error("line 101 is bad");
    const result = new Promise((resolve) => {
      concat(
        numbered(1, 100),
        throwError(() => failure),
      )
        .pipe(sink())
        .subscribe({ next: ({ position }) => positions.push(position ?? 0), error: resolve });
    });

    expect(await result).toBe(failure);
    expect(positions.at(-1)).toBe(100);
    expect(await redis.client.xlen("orders.events")).toBe(100);
  });

  it("names the event that cannot be encoded, and publishes what came before it", async () => {
    const circular: Record<string, unknown> = { id: "e3", position: 3 };
    circular.self = circular;
    const events$ = of({ id: "e1", position: 1 }, { id: "e2", position: 2 }, circular);

    const error = await failureOf(
      lastValueFrom(
        events$.pipe(redisSink<unknown, number>({ id: "x", uri: redis.uri, stream: "orders.events" })),
      ),
    );

    expect(error._tag).toBe("EventNotEncodable");
    expect(error.message).toContain("e3");
    expect(await redis.client.xlen("orders.events")).toBe(2);
  });

  it("publishes a transaction in one batch, also one that is larger than a batch", async () => {
    const events$ = range(1, 1200).pipe(
      map((n) => ({ n, position: n, transaction: { id: `t${Math.ceil(n / 400)}`, last: n % 400 === 0 } })),
    );

    const checkpoints = await lastValueFrom(
      events$.pipe(
        redisSink({ id: "x", uri: redis.uri, stream: "orders.events", batch: { maxEvents: 100 } }),
        toArray(),
      ),
    );

    expect(checkpoints.map(({ position }) => position)).toEqual([400, 800, 1200]);
  });

  it("fails with BufferOverflow when a source goes on that was told to pause, losing nothing before it", async () => {
    const signals: Flow[] = [];
    const error = await failureOf(
      lastValueFrom(
        numbered(1, 5000).pipe(
          sink({ buffer: { maxEvents: 1000 }, flow: { next: (signal) => signals.push(signal) } }),
        ),
      ),
    );

    expect(error._tag).toBe("BufferOverflow");
    expect(signals[0]).toBe("pause");
    expect(await tallyStream(redis.client, "orders.events", 1000)).toEqual({ entries: 1000, ...zero });
  });

  it("lets a source that heeds flow publish more than the buffer holds", async () => {
    const flow = new BehaviorSubject<Flow>("resume");
    const events = Array.from({ length: 20_000 }, (_, index) => ({ n: index + 1, position: index + 1 }));

    await lastValueFrom(fromIterable(events, flow).pipe(sink({ flow, buffer: { maxEvents: 1000 } })));

    expect(await tallyStream(redis.client, "orders.events", 20_000)).toEqual({ entries: 20_000, ...zero });
  });

  it("resumes a source strictly after the last published event", async () => {
    await lastValueFrom(numbered(1, 5).pipe(sink()));
    const froms: unknown[] = [];

    await lastValueFrom(
      sink().resuming((from) => {
        froms.push(from);
        return numbered(6, 5);
      }),
    );

    expect(froms).toEqual([5]);
    expect(await tallyStream(redis.client, "orders.events", 10)).toEqual({ entries: 10, ...zero });
  });

  it("refuses two events at one position rather than lose one of them after a crash", async () => {
    const events$ = of({ id: "a", position: 1 }, { id: "b", position: 1 });

    const error = await failureOf(
      lastValueFrom(events$.pipe(redisSink({ id: "x", uri: redis.uri, stream: "orders.events" }))),
    );

    expect(error).toMatchObject({ _tag: "PositionInvalid" });
    expect(error.message).toContain("a and b");
  });

  it("publishes over a connection of the caller's and leaves it open", async () => {
    const connection = new Redis(redis.uri);

    await lastValueFrom(numbered(1, 10).pipe(redisSink({ id: "x", connection, stream: "orders.events" })));

    expect(await connection.xlen("orders.events")).toBe(10);
    await connection.quit();
  });

  it("closes its connection at once when it is unsubscribed", async () => {
    const statuses = new Subject<SinkStatus>();
    const publishing = new Promise<void>((resolve) =>
      statuses.subscribe(({ state }) => state === "publishing" && resolve()),
    );
    const events$ = new Subject<Numbered>();
    const subscription = events$.pipe(sink({ status: statuses })).subscribe();
    events$.next({ n: 1, position: 1 });
    await publishing;

    subscription.unsubscribe();

    await expect.poll(async () => `${await redis.client.client("LIST")}`).not.toContain("rxadd:orders-redis");
    expect(events$.observed).toBe(false);
  });

  it.each(["script", "multi"] as const)(
    "leaves the state as it was when Redis refuses an entry (publish: %s)",
    async (publish) => {
      await lastValueFrom(numbered(1, 5).pipe(sink({ publish })));
      const most = "18446744073709551615";
      await redis.client.xadd("orders.events", `${most}-${most}`, "event", "{}");

      const failure = lastValueFrom(numbered(1, 10).pipe(sink({ publish })));

      await expect(failure).rejects.toMatchObject({
        _tag: "Refused",
        message: expect.stringContaining("exhausted"),
      });
      expect(await redis.client.hmget("{orders.events}:rxadd:orders-redis", "sequence", "position")).toEqual([
        "1",
        "5",
      ]);
    },
  );

  it("warns of an eviction policy that may evict the stream", async () => {
    await redis.client.config("SET", "maxmemory-policy", "allkeys-lru");
    const statuses: SinkStatus[] = [];

    await lastValueFrom(numbered(1, 1).pipe(sink({ status: { next: (status) => statuses.push(status) } })));
    await redis.client.config("SET", "maxmemory-policy", "noeviction");

    expect(statuses).toContainEqual({ state: "warning", message: expect.stringContaining("allkeys-lru") });
  });

  it("says that a first run finds entries of others", async () => {
    await redis.client.xadd("orders.events", "*", "event", "{}");
    const statuses: SinkStatus[] = [];

    await lastValueFrom(numbered(1, 1).pipe(sink({ status: { next: (status) => statuses.push(status) } })));

    expect(statuses).toContainEqual(
      expect.objectContaining({ state: "opened", epoch: 1, position: undefined, foreignEntries: 1 }),
    );
  });
});

describe("redisSink with computed streams", () => {
  it("takes a batch back when one of its streams refuses an entry half way", async () => {
    const mostId = "18446744073709551615-18446744073709551615";
    await redis.client.xadd("orders.b", mostId, "event", "last");
    const events$ = of({ position: 1, shard: "a" }, { position: 2, shard: "b" });
    const status$ = new Subject<SinkStatus>();
    const retrying = firstValueFrom(
      status$.pipe(filter(({ state }) => state === "retrying" || state === "closed")),
    );

    const done = lastValueFrom(
      events$.pipe(redisSink({ stream: "orders.${shard}", id: "s", uri: redis.uri, status: status$ })),
    ).catch((error) => error);
    await retrying;

    expect(await redis.client.xlen("orders.a")).toBe(0);
    await redis.client.del("orders.b");
    await done;
  });

  it("resumes where it stands, without reading the source from its beginning", async () => {
    const settings = { id: "s", uri: redis.uri, stream: "orders.${shard}" };
    const froms: unknown[] = [];
    const source = (from: number | undefined) => {
      froms.push(from);
      return of({ position: 1, shard: "a" }, { position: 2, shard: "b" });
    };

    for (let run = 1; run <= 2; run += 1) {
      await lastValueFrom(redisSink<{ position: number; shard: string }, number>(settings).resuming(source));
    }

    expect(froms).toEqual([undefined, 2]);
    expect(await redis.client.xlen("orders.a")).toBe(1);
  });
});
