import {
  EMPTY,
  filter,
  from,
  ignoreElements,
  lastValueFrom,
  map,
  type Observable,
  pipe,
  Subject,
  switchMap,
  tap,
} from "rxjs";
import { describe, expect, it } from "vitest";
import {
  type ChangeEvent,
  type Checkpoint,
  type Flow,
  keepPositions,
  redisSink,
  replicate,
  type Skipped,
  type Source,
} from "../../src/index.ts";
import { fakeRedis } from "../../src/testing/index.ts";
import { ForgettingLog, type LogEvent } from "../kit/load/forgettingLog.ts";
import { type MarbleHelpers, marbles } from "../kit/time/marbles.ts";

const stream = "orders";

/** What becomes of a source that says when it is opened, over a Redis in memory. */
function replicated(
  { expectObservable, flush }: MarbleHelpers,
  { source }: { readonly source: Source<LogEvent, number> },
) {
  const redis = fakeRedis();
  const checkpoints: Pick<Checkpoint<number>, "position" | "events">[] = [];
  const running$ = replicate({
    source,
    sink: redisSink<LogEvent, number>({ id: "shop", connection: redis, stream }),
  }).pipe(tap(({ position, events }) => checkpoints.push({ position, events })));
  expectObservable(running$.pipe(switchMap(() => EMPTY)), "^ 99ms !");
  flush();
  return { redis, checkpoints };
}

describe("replicate with a source that tells what it has passed", () => {
  it(
    "stores the place where a first run begins, as a checkpoint without events",
    marbles((helpers) => {
      const log = new ForgettingLog();
      log.append();
      log.append();

      const { redis, checkpoints } = replicated(helpers, { source: log.source() });

      expect(checkpoints).toEqual([{ position: 2, events: 0 }]);
      expect(redis.position("shop", stream)).toBe("2");
      expect(redis.entries(stream)).toEqual([]);
    }),
  );

  it(
    "counts events only, wherever what was passed stands among them",
    marbles((helpers) => {
      const passed = new Subject<number>();
      const acknowledged: number[] = [];
      const events = helpers.hot<string>("------e-e-p-e--p", { e: "event", p: "passed" });
      let position = 0;
      const open = (_from: number | undefined, _flow: Observable<Flow>): Observable<LogEvent> =>
        events.pipe(
          switchMap((kind) => {
            position += 1;
            if (kind === "event") return [{ id: `${position}`, position }];
            passed.next(position);
            return [];
          }),
        );
      const acknowledge = (to: number) => acknowledged.push(to);

      const { redis, checkpoints } = replicated(helpers, {
        source: Object.assign(open, { acknowledge, passed }),
      });

      expect(checkpoints.reduce((sum, checkpoint) => sum + checkpoint.events, 0)).toBe(3);
      expect(checkpoints.at(-1)).toEqual({ position: 5, events: 0 });
      expect(acknowledged.at(-1)).toBe(5);
      expect(redis.entries(stream)).toHaveLength(3);
      expect(redis.position("shop", stream)).toBe("5");
    }),
  );

  it(
    "completes with the source, whatever it may yet pass",
    marbles(({ cold, expectObservable, flush }) => {
      const source = Object.assign(() => cold<LogEvent>("---|"), { passed: new Subject<number>() });
      const connection = fakeRedis();
      const sink = redisSink<LogEvent, number>({ id: "shop", connection, stream });

      expectObservable(replicate({ source, sink })).toBe("-----|");
      flush();
    }),
  );
});

describe("replicate through operators", () => {
  it(
    "publishes what they make of the events, and tells the source also of those that are filtered out",
    marbles(({ hot, expectObservable, flush }) => {
      const acknowledged: number[] = [];
      const log = hot("------abcd", { a: 1, b: 2, c: 3, d: 4 }).pipe(
        map((position) => ({ id: `${position}`, position })),
      );
      const source: Source<LogEvent, number> = Object.assign(() => log, {
        acknowledge: (position: number) => acknowledged.push(position),
      });
      const redis = fakeRedis();
      const running$ = replicate({
        source,
        through: pipe(
          filter(({ position }) => position % 2 === 1),
          map(({ position }) => ({ odd: position, position })),
        ),
        sink: redisSink<{ readonly odd: number; readonly position: number }, number>({
          id: "shop",
          connection: redis,
          stream,
        }),
      });
      expectObservable(running$.pipe(ignoreElements()), "^ 99ms !");
      flush();

      expect(redis.entries(stream).map(({ content }) => JSON.parse(content[1] ?? ""))).toEqual([
        { odd: 1, position: 1 },
        { odd: 3, position: 3 },
      ]);
      expect(acknowledged.at(-1)).toBe(4);
    }),
  );

  it("lets what a source has skipped already go by", async () => {
    const events = [1, 2, 3].map((position) => ({ id: `${position}`, position }));
    const seen: number[] = [];
    const redis = fakeRedis();
    const source: Source<LogEvent | Skipped<number>, number> = () =>
      from(events).pipe(keepPositions(filter(({ position }) => position === 2)));

    const last = await lastValueFrom(
      replicate({
        source,
        through: filter(({ position }: LogEvent) => {
          seen.push(position);
          return false;
        }),
        sink: redisSink<LogEvent, number>({ id: "shop", connection: redis, stream }),
      }),
    );

    expect(seen).toEqual([2]);
    expect(last.position).toBe(3);
  });

  it("takes the types of operators and of a sink that are made in place from the source", async () => {
    const redis = fakeRedis();
    const settings = { id: "shop", connection: redis, stream };
    const changes: ChangeEvent<{ readonly paid: boolean }, number>[] = [true, false].map((paid, index) => ({
      ...{
        id: `${index}`,
        op: "c",
        ts_ms: 0,
        source: {},
        before: null,
        after: { paid },
        position: index + 1,
      },
    }));
    const source: Source<(typeof changes)[number], number> = () => from(changes);

    const through = replicate({
      source,
      through: filter((change) => change.after?.paid === true),
      sink: redisSink(settings),
    });
    const { position } = await lastValueFrom(through);
    // It is a sink of standard positions, though its events do not say which.
    replicate({ source, sink: redisSink<ChangeEvent<{ readonly paid: boolean }>>(settings) });
    const log: Source<LogEvent, number> = () => EMPTY;
    const maybe =
      redis.entries(stream).length > 5 ? filter<LogEvent>(({ position }) => position > 1) : undefined;
    replicate({ source: log, through: maybe, sink: redisSink<LogEvent>(settings) });
    // @ts-expect-error The source has no such events.
    replicate({ source: log, sink: redisSink<{ readonly paid: boolean }>(settings) });

    expect(position satisfies number | undefined).toBe(2);
    expect(redis.events(stream)).toEqual([JSON.stringify(changes[0])]);
  });
});
