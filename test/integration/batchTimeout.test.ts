import { lastValueFrom, map, of, ReplaySubject, range, Subject } from "rxjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Checkpoint, redisSink, type SinkSettings, type SinkStatus } from "../../src/index.ts";
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
  batchTimeoutMs: 300,
  retry: { initialMs: 20, maxMs: 40, jitter: 0 },
};

describe("batchTimeoutMs", () => {
  it(
    "ends the sink that long after a batch that Redis does not take",
    marbles(({ hot, expectObservable }) => {
      const connection = fakeRedis({ replies: "o 5ms m" });
      const source = hot("a 9ms b", { a: { position: 1 }, b: { position: 2 } });
      const safe = "      ----1 305ms #";

      const result = source.pipe(
        redisSink({ ...settings, connection }),
        map(({ position }: Checkpoint<number>) => position),
      );

      expectObservable(result).toBe(safe, { 1: 1 }, expect.objectContaining({ _tag: "BatchTimedOut" }));
    }),
  );

  it("is refused below 1", () => {
    expect(() => redisSink({ ...settings, uri: "redis://h", batchTimeoutMs: 0 })).toThrow(
      /batchTimeoutMs: found 0/,
    );
  });

  describe("on a real server", () => {
    let redis: RedisServer;
    beforeAll(async () => {
      redis = await startRedis();
    });
    afterAll(() => redis.stop());

    it("ends a sink whose server is stopped, and says what to do", async () => {
      await lastValueFrom(
        range(1, 5).pipe(
          map((position) => ({ position })),
          redisSink({ ...settings, uri: redis.uri }),
        ),
      );
      const status = new ReplaySubject<SinkStatus>();
      const events$ = new Subject<Numbered>();
      const failure = failureOf(events$.pipe(redisSink({ ...settings, uri: redis.uri, status })));
      await redis.signal("SIGSTOP");

      events$.next({ position: 6 });

      expect(await failure).toMatchObject({
        _tag: "BatchTimedOut",
        message: expect.stringMatching(/orders-redis: .* within 300 ms; .* raise batchTimeoutMs/),
      });
      await redis.signal("SIGCONT");
    });

    it("also bounds how long a batch waits for its replicas", async () => {
      const durability = { replicas: 1, timeoutMs: 20 };
      const events$ = of({ position: 1 }, { position: 2 });

      expect(
        await failureOf(events$.pipe(redisSink({ ...settings, id: "durable", uri: redis.uri, durability }))),
      ).toMatchObject({ _tag: "BatchTimedOut" });
    });

    it("does not end a sink that is idle", async () => {
      const events$ = new Subject<Numbered>();
      const done = lastValueFrom(
        events$.pipe(redisSink({ ...settings, uri: redis.uri, batchTimeoutMs: 50 })),
      );
      // Longer than any batch may take.
      await new Promise((resolve) => setTimeout(resolve, 120));
      events$.next({ position: 7 });
      events$.complete();

      expect(await done).toMatchObject({ position: 7 });
    });
  });
});
