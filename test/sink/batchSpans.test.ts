import fc from "fast-check";
import { interval, map, Subject, take, timer, VirtualTimeScheduler } from "rxjs";
import { describe, expect, it } from "vitest";
import { rxaddError } from "../../src/errors/rxaddError.ts";
import { redisSink, type Tracer } from "../../src/index.ts";
import { laneKeys } from "../../src/redis/publish/publishPort.ts";
import { batchSpans } from "../../src/sink/batchSpans.ts";
import { fakeRedis } from "../../src/testing/index.ts";
import { recordedSpans } from "../kit/program/recordedSpans.ts";
import { marbles } from "../kit/time/marbles.ts";

/** A tracer that tells all that its spans are told, with the sequence of their batch. */
function telling(tell: (what: string) => void): Tracer {
  return {
    startSpan: (_, { attributes }) => {
      const sequence = attributes["rxadd.sequence"];
      tell(`start ${sequence}`);
      return {
        setAttribute: () => undefined,
        addEvent: (name) => tell(`${name} ${sequence}`),
        recordException: ({ name }) => tell(`${name} ${sequence}`),
        setStatus: () => undefined,
        end: () => tell(`end ${sequence}`),
      };
    },
  };
}

interface Numbered {
  readonly position: number;
}

const values = { a: { position: 1 }, b: { position: 2 } };
const settings = { id: "orders-redis", stream: "orders", retry: { initialMs: 10, jitter: 0 } };

describe("redisSink with a tracer, in virtual time", () => {
  it(
    "starts a span when the batch is sent, and ends it when that is acknowledged",
    marbles(({ hot, expectObservable }) => {
      const connection = fakeRedis({ latencyMs: 2 });
      const told = new Subject<string>();
      const tracer = telling((what) => told.next(what));
      const source = hot("a----b--|", values);
      const spans = "     --A-aB-b";

      expectObservable(told).toBe(spans, { A: "start 1", a: "end 1", B: "start 2", b: "end 2" });
      source.pipe(redisSink({ ...settings, connection, tracer })).subscribe();
    }),
  );

  it(
    "goes on with the same span when the batch is sent again",
    marbles(({ hot, expectObservable }) => {
      const connection = fakeRedis({ latencyMs: 2, replies: "o 4ms m 10ms o" });
      const told = new Subject<string>();
      const tracer = telling((what) => told.next(what));
      const source = hot("-----a--|", values);
      const spans = "     -----A-r 9ms --a";

      expectObservable(told).toBe(spans, { A: "start 1", r: "retry 1", a: "end 1" });
      source.pipe(redisSink({ ...settings, connection, tracer })).subscribe();
    }),
  );

  it("ends each span once, whatever happens and whenever it is unsubscribed", () => {
    const replies = fc
      .array(fc.tuple(fc.constantFrom("o", "x", "m", "r", "f", "1", "3"), fc.integer({ min: 1, max: 60 })))
      .map((signs) => signs.map(([sign, ms]) => `${sign} ${ms}ms `).join(""));
    fc.assert(
      fc.property(replies, fc.integer({ min: 1, max: 400 }), (replies, stopMs) => {
        const told: string[] = [];
        const scheduler = new VirtualTimeScheduler();
        const running = interval(3, scheduler)
          .pipe(
            take(60),
            map((index): Numbered => ({ position: index + 1 })),
            redisSink<Numbered, number>({
              ...settings,
              scheduler,
              connection: fakeRedis({ scheduler, replies: `${replies}o` }),
              tracer: telling((what) => told.push(what)),
            }),
          )
          .subscribe({ error: () => {} });
        timer(stopMs, scheduler).subscribe(() => running.unsubscribe());
        scheduler.flush();

        const started = told.filter((what) => what.startsWith("start"));
        const ended = told.filter((what) => what.startsWith("end"));
        expect(new Set(started).size).toBe(started.length);
        expect(ended.map((what) => what.replace("end", "start")).sort()).toEqual(started.sort());
      }),
    );
  });
});

describe("batchSpans", () => {
  it("tells only the batches of the lane that is tried again", () => {
    const { tracer, ended } = recordedSpans();
    const [one, two] = [laneKeys("one", "orders-redis"), laneKeys("two", "orders-redis")];
    const [batchOfOne, batchOfTwo] = [[], []];
    const error = rxaddError("SlotMoving", "one: MOVED");

    const spans = batchSpans<number>({ tracer, sink: "orders-redis", stream: "${table}" });
    spans.sent(one, batchOfOne, { entries: [], sequence: 1 });
    spans.sent(two, batchOfTwo, { entries: [], sequence: 1 });
    spans.retrying(one, { attempt: 1, delayMs: 100, error });
    spans.acknowledged(batchOfOne);
    spans.acknowledged(batchOfTwo);

    expect(
      ended().map(({ attributes, events }) => [attributes["messaging.destination.name"], events.length]),
    ).toEqual([
      ["one", 1],
      ["two", 0],
    ]);
  });

  it("says nothing of a batch that had no span", () => {
    const { tracer, ended } = recordedSpans();

    batchSpans<number>({ tracer, sink: "orders-redis", stream: "orders" }).acknowledged([]);

    expect(ended()).toEqual([]);
  });
});
