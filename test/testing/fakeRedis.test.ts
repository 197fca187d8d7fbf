import { getOrElse } from "fp-ts/lib/Option.js";
import { interval, map, take } from "rxjs";
import { describe, expect, it } from "vitest";
import {
  type Checkpoint,
  redisSink,
  replicate,
  type SinkError,
  type SinkSettings,
  type Source,
} from "../../src/index.ts";
import { type FakeRedis, fakeRedis } from "../../src/testing/index.ts";
import { marbles } from "../support/marbles.ts";

interface Order {
  readonly id: string;
  readonly position: number;
}

const order = (position: number): Order => ({ id: `order ${position}`, position });
const values = { a: order(1), b: order(2), c: order(3) };
const stream = "orders";

function sink(connection: FakeRedis, settings: Partial<SinkSettings<Order, number>> = {}) {
  return redisSink<Order, number>({
    id: "shop",
    connection,
    stream,
    retry: { initialMs: 100, jitter: 0 },
    ...settings,
  });
}

/** Each checkpoint as the letter of its event. */
const letters = map(({ position = 0 }: Checkpoint<number>) => " abc"[position]);

function numbers(redis: FakeRedis, of = stream): number[] {
  return redis.events(of).map((event) => JSON.parse(event).position);
}

/** Ten orders, one every 10 ms, from wherever it is opened. */
const log: Source<Order, number> = (from) => {
  const start = getOrElse(() => 0)(from);
  return interval(10).pipe(
    take(10 - start),
    map((index) => order(start + index + 1)),
  );
};

describe("fakeRedis", () => {
  it(
    "answers after its latency, first the opening, then each batch",
    marbles(({ hot, expectObservable, flush }) => {
      const redis = fakeRedis({ latencyMs: 2 });
      const source = hot("  a----b----|", values);
      const expected = "    ----a--b--|";

      expectObservable(source.pipe(sink(redis), letters)).toBe(expected);
      flush();

      expect(numbers(redis)).toEqual([1, 2]);
      expect(redis.position("shop", stream)).toBe("2");
      expect(redis.entries(stream)[0]).toEqual({
        entryId: "3-0",
        content: ["event", '{"id":"order 1","position":1}'],
      });
    }),
  );

  it.each([
    { what: "is out of memory", sign: "m", expected: "----a 3117ms (bc|)" },
    { what: "is a replica", sign: "r", expected: "----a 3117ms (bc|)" },
    {
      what: "is out of reach, and wakes the sink when it is back",
      sign: "x",
      expected: "----a 3003ms (bc|)",
    },
  ])("holds the checkpoint while it $what", ({ sign, expected }) => {
    marbles(({ hot, expectObservable, flush }) => {
      const redis = fakeRedis({ replies: `o 4ms ${sign} 3s o` });
      const source = hot("a---------b----c---|", values);

      expectObservable(source.pipe(sink(redis), letters)).toBe(expected);
      flush();

      expect(numbers(redis)).toEqual([1, 2, 3]);
    })();
  });

  it.each([
    { when: "before Redis has done what it was sent", replies: "12ms x 5ms o" },
    { when: "after Redis has done it, before it could say so", replies: "17ms x --- o" },
  ])("publishes once when the connection is lost $when", ({ replies }) => {
    marbles(({ hot, expectObservable, flush }) => {
      const redis = fakeRedis({ latencyMs: 10, replies });
      const isDone: boolean[] = [];

      const result = hot("a|", values).pipe(sink(redis), letters);

      expectObservable(result).toBe(replies.startsWith("12") ? "28ms (a|)" : "31ms (a|)");
      interval(16)
        .pipe(take(1))
        .subscribe(() => isDone.push(numbers(redis).length === 1));
      flush();
      expect(isDone).toEqual([replies.startsWith("17")]);
      expect(numbers(redis)).toEqual([1]);
    })();
  });

  it(
    "fences a sink when another writer takes over",
    marbles(({ hot, expectObservable, flush }) => {
      const redis = fakeRedis({ replies: "-----f" });
      const source = hot("  a-------b--|", values);
      const expected = "    ----a-----#";

      const result = source.pipe(sink(redis), letters);

      expectObservable(result).toBe(expected, undefined, expect.objectContaining({ _tag: "Fenced" }));
      flush();
      expect(numbers(redis)).toEqual([1]);
    }),
  );

  it(
    "loses acknowledged batches when it is told, and a replication goes back for them",
    marbles(({ expectObservable, flush }) => {
      const redis = fakeRedis({ replies: "47ms 2" });
      const checkpoints: number[] = [];
      const result = replicate({ source: log, sink: sink(redis) }).pipe(
        map(({ position = 0 }) => checkpoints.push(position)),
      );

      expectObservable(result, "500ms !");
      flush();

      expect(numbers(redis)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      expect(checkpoints).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }),
  );

  it(
    "goes on where the stream ends when a sink is subscribed to again",
    marbles(({ hot, expectObservable, flush }) => {
      const redis = fakeRedis();
      const source = hot("a-b-c-----abc-|", values);

      expectObservable(source.pipe(sink(redis)), "^-------!");
      expectObservable(source.pipe(sink(redis)), "----------^-----!");
      flush();

      expect(numbers(redis)).toEqual([1, 2, 3]);
    }),
  );

  it(
    "has streams for templates and dead letters, and entries of others",
    marbles(({ hot, expectObservable, flush }) => {
      const redis = fakeRedis();
      redis.xadd("orders.2", "event", '{"position":0}');
      const broken = sink(redis, {
        stream: "orders.${position}",
        deadLetters: { stream: "dead" },
        event: {
          encode: (event) => {
            if (event.position === 3) throw new Error("poison");
            return JSON.stringify(event);
          },
        },
      });

      expectObservable(hot("abc|", values).pipe(broken), "20ms !");
      flush();

      expect([numbers(redis, "orders.1"), numbers(redis, "orders.2")]).toEqual([[1], [0, 2]]);
      expect(redis.entries("dead")).toHaveLength(1);
      expect(redis.position("shop")).toBe("3");
    }),
  );

  it("refuses replies that say nothing", () => {
    const failure = (replies: string): SinkError["message"] => {
      try {
        fakeRedis({ replies });
      } catch (error) {
        return String(error);
      }
      return "";
    };

    expect(failure("--q")).toMatch(/replies: found q in --q, expected o, x, m, r, f or a digit/);
    expect(failure("-|")).toMatch(/found the end of an Observable in -\|/);
  });
});
