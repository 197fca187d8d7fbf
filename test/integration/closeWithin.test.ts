import { concat, ignoreElements, of, Subject, throwError, timer } from "rxjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fanOut, publisher, redisSink, replicate, type SinkSettings, type Source } from "../../src/index.ts";
import { fakeRedis } from "../../src/testing/index.ts";
import { failureOf } from "../kit/program/failureOf.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import { marbles } from "../kit/time/marbles.ts";

interface Numbered {
  readonly position: number;
}

const settings: SinkSettings<Numbered, number> = {
  id: "orders-redis",
  stream: "orders.events",
  closeWithinMs: 300,
  retry: { initialMs: 20, maxMs: 40, jitter: 0 },
};

const a = { position: 1 };
const poison = ({ position }: Numbered) => {
  if (position === 2) throw new Error("boom");
  return "";
};
const late = expect.objectContaining({
  _tag: "BatchTimedOut",
  message: expect.stringMatching(/sink orders-redis: found events .* safe 300 ms after the source had ended/),
});

describe("closeWithinMs", () => {
  it.each([
    ["while Redis is away", "o 5ms x", "a 9ms (b|)", "----1 305ms #"],
    ["from the first event on", "x", "a 9ms |", "310ms #"],
    ["without an event", "x", "|", "300ms #"],
    ["not at all, where it is back in time", "x 100ms o", "a|", "105ms (1|)"],
    ["only from the end on", "x 500ms o", "a 999ms |", "505ms 1 494ms |"],
  ])("bounds what is left when the source has ended: %s", (_case, replies, events, safe) =>
    marbles(({ hot, expectObservable }) => {
      const connection = fakeRedis({ replies });
      const source = hot(events, { a, b: { position: 2 } });

      const result = source.pipe(redisSink({ ...settings, connection }));

      const checkpoint = expect.objectContaining({ position: 1 });
      expectObservable(result).toBe(safe, { 1: checkpoint }, late);
    })(),
  );

  it(
    "names the source's own error as the cause",
    marbles(({ expectObservable }) => {
      const connection = fakeRedis({ replies: "x" });
      const failing = concat(
        of(a),
        throwError(() => new Error("the file is gone")),
      );

      const cause = expect.objectContaining({ message: "the file is gone" });
      const result = failing.pipe(redisSink({ ...settings, connection }));
      expectObservable(result).toBe("300ms #", {}, expect.objectContaining({ _tag: "BatchTimedOut", cause }));
    }),
  );

  it.each([
    ["an event that cannot be encoded", { encode: poison }, "event 1: encode failed: boom"],
    ["a full buffer", {}, "the buffer is full with 2 items"],
  ])("bounds what is left before %s, which is the cause", (_case, event, message) =>
    marbles(({ cold, expectObservable }) => {
      const connection = fakeRedis({ replies: "x" });
      const source = cold("(abaa)", { a, b: { position: 2 } });

      const result = source.pipe(
        redisSink({
          ...settings,
          connection,
          event: { ...event, position: () => undefined },
          buffer: { maxEvents: 2 },
        }),
      );

      const cause = expect.objectContaining({ message: expect.stringContaining(message) });
      expectObservable(result).toBe("300ms #", {}, expect.objectContaining({ _tag: "BatchTimedOut", cause }));
    })(),
  );

  it(
    "bounds replicate, and several sinks",
    marbles(({ expectObservable }) => {
      const sink = (more = {}) =>
        redisSink<Numbered, number>({ ...settings, connection: fakeRedis({ replies: "o 10ms x" }), ...more });
      const open = (at: number) => timer(at).pipe(ignoreElements());
      const source: Source<Numbered, number> = () => concat(open(20), of(a));

      expectObservable(replicate({ source, sink: sink() })).toBe("322ms #", {}, late);
      const both = fanOut([sink(), sink({ id: "copy", required: false, closeWithinMs: undefined })]);
      expectObservable(replicate({ source, sink: both })).toBe("322ms #", {}, late);
    }),
  );

  it("is refused below 1", () => {
    expect(() => redisSink({ ...settings, uri: "redis://h", closeWithinMs: 0 })).toThrow(
      /closeWithinMs: found 0, expected a number of milliseconds from 1/,
    );
  });

  describe("on a real server", () => {
    let redis: RedisServer;
    beforeAll(async () => {
      redis = await startRedis();
    });
    afterAll(() => redis.stop());

    it("lets go of a server that hangs, and of calls that wait for it", async () => {
      const events$ = new Subject<Numbered>();
      const failure = failureOf(events$.pipe(redisSink({ ...settings, uri: redis.uri })));
      const calls = publisher(redisSink<Numbered>({ ...settings, id: "calls", uri: redis.uri }));
      await calls.publish(a);
      await redis.signal("SIGSTOP");

      events$.next({ position: 2 });
      events$.complete();
      const waiting = calls.publish({ position: 3 });
      await Promise.all([
        expect(waiting).rejects.toMatchObject({ _tag: "BatchTimedOut" }),
        expect(calls.close()).resolves.toBeUndefined(),
      ]);

      expect(await failure).toEqual(late);
      await redis.signal("SIGCONT");
    });
  });
});
