import {
  concat,
  EMPTY,
  from,
  interval,
  lastValueFrom,
  map,
  NEVER,
  of,
  range,
  scan,
  switchMap,
  takeWhile,
  tap,
  VirtualTimeScheduler,
} from "rxjs";
import { describe, expect, it } from "vitest";
import {
  type Checkpoint,
  type Commit,
  fanOut,
  type Positions,
  redisSink,
  replicate,
  type Sink,
  type SinkSettings,
  type SinkStatus,
  type Source,
} from "../../src/index.ts";
import { type FakeRedis, fakeRedis } from "../../src/testing/index.ts";
import { ForgettingLog, type LogEvent } from "../kit/load/forgettingLog.ts";
import { marbles } from "../kit/time/marbles.ts";

interface Numbered {
  readonly position: number;
}

const stream = "orders";
const count = 3000;

/** So many numbers, one a millisecond, that stop when they are told to. */
function paced(): Source<Numbered, number> & { readonly emitted: () => number } {
  let emitted = 0;
  const source: Source<Numbered, number> = (from, flow) =>
    flow.pipe(
      switchMap((signal) => (signal === "pause" ? EMPTY : interval(1))),
      scan((position) => position + 1, from ?? 0),
      takeWhile((position) => position < count, true),
      tap(() => {
        emitted += 1;
      }),
      map((position) => ({ position })),
    );
  return Object.assign(source, { emitted: () => emitted });
}

function sink(id: string, connection: FakeRedis) {
  const retry = { initialMs: 100, maxMs: 500, jitter: 0 };
  return redisSink<Numbered, number>({ id, connection, stream, retry });
}

describe("fanOut over sinks that stand at different places", () => {
  const cases: readonly (readonly [Commit, readonly string[]])[] = [
    ["all", ["behind", "ahead"]],
    ["all", ["ahead", "behind"]],
    [{ quorum: 2 }, ["behind", "ahead", "slow"]],
  ];
  it.each(cases)("gives no checkpoint out, %j, beyond what as many have as it needs: %j", (policy, ids) =>
    marbles(({ expectObservable, flush }) => {
      const redises = new Map(ids.map((id) => [id, fakeRedis({ replies: id === "slow" ? "x 1s o" : "o" })]));
      redises.get("ahead")?.setPosition("ahead", "100", stream);
      const needed = redises.size > 2 ? 2 : redises.size;
      const beyond: unknown[] = [];
      const sinks = [...redises].map(([id, redis]) => sink(id, redis));
      // Both have had as many of its events, and stand at different places.
      const source = () => concat(range(1, 5), NEVER).pipe(map((position) => ({ position })));
      const replicating$ = replicate<Numbered, number>({
        source,
        sink: fanOut(sinks, { commit: policy }),
      }).pipe(
        tap(({ position = 0 }) => {
          const having = [...redises].filter(([id, redis]) => Number(redis.position(id, stream)) >= position);
          if (having.length < needed) beyond.push(position);
        }),
      );

      expectObservable(replicating$.pipe(switchMap(() => EMPTY)), "^ 3s !");
      flush();

      expect(beyond).toEqual([]);
    })(),
  );
});

describe("fanOut over positions that cannot be compared", () => {
  it("ends with what the order throws", async () => {
    const broken = new Error("no order");
    const positions: Positions<number> = {
      encode: String,
      decode: Number,
      compare: () => {
        throw broken;
      },
    };
    const checkpoint: Checkpoint<number> = {
      ...{ sink: "a", stream, position: 1, sequence: 1, entryId: "1-0", events: 1, replayed: 0 },
    };
    const bare = (id: string): Sink<Numbered, number> =>
      Object.assign(() => of(checkpoint), {
        ...{ id, required: true, positions, report: () => {}, resuming: () => of(checkpoint) },
      });

    const ended = lastValueFrom(of({ position: 1 }).pipe(fanOut([bare("a"), bare("b")], { commit: "all" })));

    await expect(ended).rejects.toBe(broken);
  });
});

describe("fanOut with a quorum", () => {
  it(
    "waits for a sink that it needs, when another one has failed, with the source paused",
    marbles(({ expectObservable, flush }) => {
      const [one, two, three] = [fakeRedis(), fakeRedis({ replies: "x 5s o" }), fakeRedis()];
      three.set(stream);
      const sinks = [sink("one", one), sink("two", two), sink("three", three)];
      const source = paced();
      const checkpoints: unknown[] = [];
      const replicating$ = replicate({
        source,
        sink: fanOut(sinks, { commit: { quorum: 2 }, patienceMs: 50, maxLateEvents: 1000 }),
      }).pipe(tap(({ position }) => checkpoints.push(position)));

      expectObservable(replicating$.pipe(switchMap(() => EMPTY)), "^ 20s !");
      flush();

      expect(checkpoints.at(-1)).toBe(count);
      expect([one.entries(stream).length, two.entries(stream).length]).toEqual([count, count]);
      expect(source.emitted()).toBe(count);
    }),
  );

  it(
    "holds the source while a sink that it needs is away, however long",
    marbles(({ expectObservable, flush }) => {
      // Both were there when the source was opened; then the one that is needed goes.
      const [one, two, three] = [
        fakeRedis(),
        fakeRedis({ replies: "o 99ms x 9s o" }),
        fakeRedis({ replies: "o 199ms f" }),
      ];
      const sinks = [sink("one", one), sink("two", two), sink("three", three)];
      const source = paced();
      const checkpoints: unknown[] = [];
      const replicating$ = replicate({
        source,
        sink: fanOut(sinks, { commit: { quorum: 2 }, patienceMs: 50, maxLateEvents: 1000 }),
      }).pipe(tap(({ position }) => checkpoints.push(position)));

      expectObservable(replicating$.pipe(switchMap(() => EMPTY)), "^ 30s !");
      flush();

      expect(checkpoints.at(-1)).toBe(count);
      expect([one.entries(stream).length, two.entries(stream).length]).toEqual([count, count]);
    }),
  );
});

/** A virtual clock, and what runs by it. */
function world() {
  const scheduler = new VirtualTimeScheduler();
  const retry = { initialMs: 100, maxMs: 500, jitter: 0 };
  const redis = (replies = "o") => fakeRedis({ replies, scheduler });

  function process(
    source: Source<LogEvent, number>,
    sinks: readonly (readonly [
      id: string,
      redis: FakeRedis,
      options?: Partial<SinkSettings<LogEvent, number>>,
    ])[],
    policy: Commit = "required",
  ) {
    const states = new Map(sinks.map(([id]) => [id, [] as SinkStatus[]]));
    const errors: unknown[] = [];
    const checkpoints: unknown[] = [];
    const made = sinks.map(([id, connection, options]) =>
      redisSink<LogEvent, number>({
        ...{ id, connection, stream, retry, scheduler },
        status: { next: (status) => states.get(id)?.push(status) },
        ...options,
      }),
    );
    const sink = fanOut(made, { commit: policy, patienceMs: 50, scheduler });
    const running = replicate({ source, sink, retry, scheduler }).subscribe({
      next: ({ position }) => checkpoints.push(position),
      error: (error) => errors.push(error),
    });
    return {
      errors,
      checkpoints,
      last: (id: string) => states.get(id)?.at(-1),
      states: (id: string) => states.get(id)?.map(({ state }) => state) ?? [],
      stop: () => running.unsubscribe(),
    };
  }

  return {
    redis,
    process,
    advance: (ms: number) => {
      scheduler.maxFrames = scheduler.frame + ms;
      scheduler.flush();
      scheduler.frame = scheduler.maxFrames;
    },
  };
}

const positions = (redis: FakeRedis) => redis.events(stream).map((event) => JSON.parse(event).position);
const optional = { required: false, buffer: { maxEvents: 10 } };

describe("fanOut over a source that forgets what was acknowledged", () => {
  it("tells at each start that an optional sink is behind, and goes on with the others", () => {
    const { redis, process, advance } = world();
    const log = new ForgettingLog();
    const [main, copy] = [redis(), redis("o 99ms x 900ms o")];
    const start = () =>
      process(log.source(), [
        ["main", main],
        ["copy", copy, optional],
      ]);
    const first = start();
    advance(100);
    for (let event = 1; event <= 40; event += 1) {
      log.append();
      advance(10);
    }
    expect(first.last("copy")).toMatchObject({
      state: "behind",
      cause: { message: expect.stringMatching(/its buffer is full/) },
    });
    expect(first.checkpoints.at(-1)).toBe(40);
    first.stop();
    advance(1000);

    for (let run = 1; run <= 3; run += 1) {
      const again = start();
      advance(500);
      log.append();
      advance(500);

      expect(again.errors).toEqual([]);
      expect(again.last("copy")).toMatchObject({ state: "behind", cause: { _tag: "PositionUnavailable" } });
      expect(positions(main)).toHaveLength(40 + run);
      again.stop();
    }
  });

  it("ends at each start when the sink that it no longer serves is needed", () => {
    const { redis, process, advance } = world();
    const log = new ForgettingLog();
    const [main, copy] = [redis(), redis()];
    const start = () =>
      process(log.source(), [
        ["main", main],
        ["copy", copy],
      ]);
    const first = start();
    advance(100);
    for (let event = 1; event <= 3; event += 1) log.append();
    advance(100);
    first.stop();
    copy.setPosition("copy", "1", stream);

    for (let run = 1; run <= 3; run += 1) {
      const again = start();
      advance(500);
      expect(again.errors).toMatchObject([{ _tag: "PositionUnavailable" }]);
    }
  });

  it("is no first run for a new sink when another one has a position, and the source has lost its mark", () => {
    const { redis, process, advance } = world();
    const log = new ForgettingLog();
    const main = redis();
    const first = process(log.source(), [["main", main]]);
    advance(100);
    log.append();
    advance(100);
    first.stop();
    log.dropMark();
    log.append();

    const next = process(log.source(), [
      ["main", main],
      ["copy", redis(), optional],
    ]);
    advance(500);

    expect(next.errors).toMatchObject([{ _tag: "PositionUnavailable" }]);
  });

  it("leaves a sink behind that comes later, and stands before the place where the source began anew", () => {
    const { redis, process, advance } = world();
    const log = new ForgettingLog();
    const [main, copy] = [redis(), redis("o 999ms x 2s o")];
    const start = () =>
      process(log.source(), [
        ["main", main],
        ["copy", copy, optional],
      ]);
    const first = start();
    advance(100);
    log.append();
    advance(100);
    first.stop();
    main.del(stream);
    main.del(`{${stream}}:rxadd:main`);
    log.dropMark();
    log.append();
    advance(1000);

    const again = start();
    advance(1000);
    log.append();
    advance(2000);

    expect(again.errors).toEqual([]);
    expect(positions(main)).toEqual([3]);
    expect(again.last("copy")).toMatchObject({ state: "behind", position: 1 });
  });

  it("leaves a sink of a quorum behind that has lost its data, while enough others are left", () => {
    const { redis, process, advance } = world();
    const log = new ForgettingLog();
    const [one, two, three] = [redis(), redis(), redis()];
    const start = () =>
      process(
        log.source(),
        [
          ["one", one],
          ["two", two],
          ["three", three],
        ],
        { quorum: 2 },
      );
    const first = start();
    advance(100);
    log.append();
    advance(100);
    three.del(stream);
    three.del(`{${stream}}:rxadd:three`);
    log.append();
    advance(500);
    expect(first.last("three")).toMatchObject({ state: "behind", position: undefined });
    log.append();
    advance(500);
    expect(first.errors).toEqual([]);
    expect(first.checkpoints.at(-1)).toBe(3);
    first.stop();

    const again = start();
    advance(500);
    log.append();
    advance(500);
    expect(again.errors).toEqual([]);
    expect(again.last("three")).toMatchObject({ state: "behind", cause: { _tag: "PositionUnavailable" } });
    expect([positions(one), positions(two)]).toEqual([
      [1, 2, 3, 4],
      [1, 2, 3, 4],
    ]);
  });
});

describe("an optional sink whose Redis is down", () => {
  it("is behind as soon as its buffer is full, and that is its last word", () => {
    const { redis, process, advance } = world();
    const log = new ForgettingLog();
    const running = process(log.source(), [
      ["main", redis()],
      ["copy", redis("o 99ms x"), optional],
    ]);
    advance(200);
    for (let event = 1; event <= 9; event += 1) log.append();
    advance(100);
    expect(running.states("copy")).not.toContain("behind");

    for (let event = 10; event <= 30; event += 1) log.append();
    advance(1);

    expect(running.last("copy")?.state).toBe("behind");
  });
});

describe("positions without an order", () => {
  const tokens = ["a", "b", "c"].map((id) => ({ id, position: `token-${id}` }));
  const source: Source<(typeof tokens)[number], string> = (at) =>
    from(tokens.slice(tokens.findIndex(({ position }) => position === at) + 1));
  const sinkOf = (id: string, connection: FakeRedis, required = true) =>
    redisSink<(typeof tokens)[number], string>({ id, connection, stream: `s.${id}`, required });

  async function withAnOldSink(isNewRequired: boolean) {
    const [redis, other] = [fakeRedis(), fakeRedis()];
    await lastValueFrom(replicate({ source, sink: sinkOf("old", redis) }));
    const sinks = [sinkOf("old", redis), sinkOf("new", other, isNewRequired)];
    const run = lastValueFrom(replicate({ source, sink: fanOut(sinks) }), { defaultValue: undefined });
    const failure = await run.then(
      () => undefined,
      (error) => error,
    );
    return { failure, old: redis.entries("s.old").length };
  }

  it("are refused when a sink is new and another one is not, rather than doubled in that", async () => {
    const { failure, old } = await withAnOldSink(true);

    expect(failure).toMatchObject({
      _tag: "PositionInvalid",
      message: expect.stringMatching(/sink new stands at no position/),
    });
    expect(old).toBe(3);
  });

  it("leave an optional sink behind that stands elsewhere", async () => {
    expect(await withAnOldSink(false)).toEqual({ failure: undefined, old: 3 });
  });
});
