import { catchError, ignoreElements, interval, map, of, Subject, take, VirtualTimeScheduler } from "rxjs";
import { describe, expect, it } from "vitest";
import {
  type Checkpoint,
  type Flow,
  type RxaddError,
  redisSink,
  replicate,
  type SinkSettings,
  type SinkStatus,
  type Source,
} from "../../src/index.ts";
import { type FakeRedis, fakeRedis } from "../../src/testing/index.ts";
import { marbles } from "../kit/time/marbles.ts";

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
  const start = from ?? 0;
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
  ])("holds the checkpoint while it $what", async ({ sign, expected }) => {
    await marbles(({ hot, expectObservable, flush }) => {
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
  ])("publishes once when the connection is lost $when", async ({ replies }) => {
    await marbles(({ hot, expectObservable, flush }) => {
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
      // Found with the fifth, at 54 ms; opened again 100 ms later, from where the stream ends.
      const expected = "14ms a 9ms b 9ms c 9ms d 143ms e 9ms f 9ms g 9ms h 9ms i 9ms (j|)";

      const result = replicate({ source: log, sink: sink(redis), retry: { jitter: 0 } }).pipe(
        map(({ position = 0 }) => " abcdefghij"[position]),
      );

      expectObservable(result).toBe(expected);
      flush();

      expect(numbers(redis)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
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

  it(
    "tells what it has while it is out of memory, so that an answer that was lost is made good",
    marbles(({ hot, expectObservable, flush }) => {
      const redis = fakeRedis({ latencyMs: 10, replies: "17ms x--m" });
      const source = hot("a-----|", values);
      const expected = "  30ms (a|)";

      expectObservable(source.pipe(sink(redis), letters)).toBe(expected);
      flush();

      expect(numbers(redis)).toEqual([1]);
    }),
  );

  it(
    "does what was sent although the sink is unsubscribed, and the next run finds it",
    marbles(({ hot, expectObservable, flush }) => {
      const redis = fakeRedis({ latencyMs: 10 });
      const source = hot("  a 39ms ab|        ", values);
      const unsub = "       ^ 11ms !          ";
      const again = "       30ms ^            ";
      const expected = "    40ms a 10ms (b|)  ";

      expectObservable(source.pipe(sink(redis), letters), unsub).toBe("");
      expectObservable(source.pipe(sink(redis), letters), again).toBe(expected);
      flush();

      expect(numbers(redis)).toEqual([1, 2]);
    }),
  );

  it(
    "waits longer after each attempt, and says so",
    marbles(({ hot, expectObservable, flush }) => {
      const redis = fakeRedis({ replies: "m 2s o" });
      const delays: number[] = [];
      const status = {
        next: (status: SinkStatus) => {
          if (status.state === "retrying") delays.push(status.delayMs);
        },
      };

      expectObservable(hot("a|", values).pipe(sink(redis, { status }), letters)).toBe("3114ms (a|)");
      flush();

      expect(delays).toEqual([100, 200, 400, 800, 1600]);
    }),
  );

  it(
    "pauses the source while Redis is out of memory, and resumes it",
    marbles(({ hot, expectObservable, flush }) => {
      const redis = fakeRedis({ replies: "m 1s o" });
      const flow = new Subject<Flow>();
      const source = hot("  a-b|          ", values);
      const expected = "    1512ms (ab|)  ";
      const signals = "     --p 1509ms r  ";

      const result = source.pipe(sink(redis, { buffer: { maxEvents: 4 }, flow }), letters);

      expectObservable(flow).toBe(signals, { p: "pause", r: "resume" });
      expectObservable(result).toBe(expected);
      flush();
      expect(numbers(redis)).toEqual([1, 2]);
    }),
  );

  it(
    "fills a batch for as long as it lingers",
    marbles(({ hot, expectObservable, flush }) => {
      const redis = fakeRedis();
      const source = hot("  a--b--c--|     ", values);
      const expected = "    -------B---(C|)";

      const result = source.pipe(
        sink(redis, { batch: { lingerMs: 5 } }),
        map(({ events, position }) => ({ events, position })),
      );

      expectObservable(result).toBe(expected, {
        B: { events: 2, position: 2 },
        C: { events: 1, position: 3 },
      });
      flush();
      expect(numbers(redis)).toEqual([1, 2, 3]);
    }),
  );

  it(
    "fences the first of two sinks with one id",
    marbles(({ hot, expectObservable, flush }) => {
      const redis = fakeRedis();
      const older = hot("   a-------b--          ", values);
      const fenced = "      ----a-----#          ";
      const newer = hot("   --------------c|     ", values);
      const start = "       -----^               ";
      const expected = "    ----------------(c|) ";
      const failure = { _tag: "Fenced", details: { epoch: 1, storedEpoch: 2 } };

      expectObservable(older.pipe(sink(redis), letters)).toBe(
        fenced,
        undefined,
        expect.objectContaining(failure),
      );
      expectObservable(newer.pipe(sink(redis), letters), start).toBe(expected);
      flush();

      expect(numbers(redis)).toEqual([1, 3]);
    }),
  );

  it(
    "begins where a test says that an earlier run ended, beside entries of others",
    marbles(({ expectObservable, flush }) => {
      const redis = fakeRedis();
      redis.xadd(stream, "event", '{"position":0}');
      redis.setPosition("shop", "7", stream);

      const result = replicate({ source: log, sink: sink(redis) }).pipe(map(({ position }) => position));

      expectObservable(result).toBe("14ms a 9ms b 9ms (c|)", { a: 8, b: 9, c: 10 });
      flush();
      expect(numbers(redis)).toEqual([0, 8, 9, 10]);
      expect(redis.position("shop", stream)).toBe("10");
    }),
  );

  it(
    "trims by age in the test's own time",
    marbles(({ hot, expectObservable, flush }) => {
      const redis = fakeRedis();
      const source = hot("  a 49ms b 49ms c|", values);
      const expected = "    ----a 47ms b 49ms (c|)";

      const result = source.pipe(sink(redis, { trim: { maxAgeMs: 60, approximate: false } }), letters);

      expectObservable(result).toBe(expected);
      flush();
      expect(numbers(redis)).toEqual([2, 3]);
    }),
  );

  it(
    "trims each stream as it is told, and publishes nothing where that fails",
    marbles(({ hot, expectObservable, flush }) => {
      const redis = fakeRedis();
      const exact = { approximate: false };
      const trim = (key: string) => {
        if (key === "orders") return { maxLen: 1, ...exact };
        throw new Error("no plan");
      };

      const result = hot("abc|", values).pipe(sink(redis, { trim }), ignoreElements());
      expectObservable(result).toBe("----|");
      const failing = hot("abc|", values).pipe(sink(redis, { stream: "others", trim }));
      expectObservable(failing.pipe(catchError((error) => of(error.message)))).toBe("----(e|)", {
        e: "trim of others failed: no plan",
      });

      flush();
      expect(numbers(redis)).toEqual([3]);
      expect(redis.entries("others")).toEqual([]);
    }),
  );

  it("counts entries of others for a sink that is new", async () => {
    const redis = fakeRedis();
    redis.xadd(stream, "name", "theirs");
    const opened: unknown[] = [];
    const status = { next: (status: SinkStatus) => status.state === "opened" && opened.push(status) };

    await marbles(({ hot, expectObservable }) => {
      expectObservable(hot("a|", values).pipe(sink(redis, { status }), ignoreElements())).toBe("----|");
    })();

    expect(opened).toEqual([expect.objectContaining({ foreignEntries: 1, epoch: 1 })]);
  });

  it("ends a sink whose stream is something else", async () => {
    const redis = fakeRedis();
    redis.set(stream);

    await marbles(({ hot, expectObservable }) => {
      const failure = expect.objectContaining({ _tag: "WrongType" });
      expectObservable(hot("a|", values).pipe(sink(redis))).toBe("--#", undefined, failure);
    })();
  });

  it("runs on a scheduler of the test's own, with retries, a way back and durability", () => {
    const scheduler = new VirtualTimeScheduler();
    const redis = fakeRedis({ scheduler, replies: "47ms 2 100ms m 1s o" });
    const source: Source<Order, number> = (from) => {
      const start = from ?? 0;
      return interval(10, scheduler).pipe(
        take(10 - start),
        map((index) => order(start + index + 1)),
      );
    };
    const durability = { replicas: 1 };
    const seen: (readonly [number, number])[] = [];

    replicate({
      source,
      sink: sink(redis, { scheduler, durability }),
      retry: { jitter: 0 },
      scheduler,
    }).subscribe(({ position }) => seen.push([scheduler.frame, position ?? 0]));
    scheduler.flush();

    expect(numbers(redis)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    // Lost at 47 ms; opened again after the memory is back and five attempts.
    expect(seen.map(([frame]) => frame)).toEqual([
      ...[14, 24, 34, 44],
      ...[1696, 1706, 1716, 1726, 1736, 1746],
    ]);
    expect(seen.map(([, position]) => position)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("finds the field event among others, and none where there is none", () => {
    const redis = fakeRedis();
    redis.xadd(stream, "kind", "event", "event", "tea");
    redis.xadd(stream, "kind", "other");

    expect(redis.events(stream)).toEqual(["tea", ""]);
  });

  it("refuses an entry that is none", () => {
    const redis = fakeRedis();
    redis.set("text");

    expect(() => redis.xadd(stream, "event")).toThrow(/found 1 words, expected names and values/);
    expect(() => redis.xadd("text", "event", "tea")).toThrow(/holds a string/);
  });

  it("refuses replies that say nothing", () => {
    const failure = (replies: string): RxaddError["message"] => {
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
