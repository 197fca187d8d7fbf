import { Redis } from "ioredis";
import { NEVER } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import { acknowledge, groupDeliveries, streamEntries, streamSource } from "../../src/consumer.ts";
import { consumerMetrics } from "../../src/metrics/index.ts";
import { group, type Order, ordersGroup, stream } from "../kit/load/ordersGroup.ts";
import { watched } from "../kit/load/watched.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

const redis = emptyRedis();
const { add, deliveries, pending } = ordersGroup(redis);

/** Whether the group is there in each of them. */
async function isRead(streams: readonly string[]): Promise<boolean> {
  const found = await Promise.all(streams.map((name) => redis.client.xinfo("GROUPS", name)));
  return found.every((groups) => Array.isArray(groups) && groups.length > 0);
}

describe("the window of a consumer", () => {
  it("holds over all its streams together", async () => {
    const streams = Array.from({ length: 50 }, (_, n) => `s${n}`);
    const writing = redis.client.pipeline();
    for (const name of streams) for (let n = 0; n < 20; n += 1) writing.xadd(name, "*", "event", "{}");
    await writing.exec();
    let handed = 0;
    const running = groupDeliveries({ uri: redis.uri, stream: streams, group, window: 100, blockMs: 50 })
      .pipe(acknowledge(() => NEVER, { concurrency: 1000 }))
      .subscribe();
    onTestFinished(() => running.unsubscribe());
    await waitUntil(() => isRead(streams), 5);
    await waitUntil(async () => {
      const found = await Promise.all(streams.map((name) => redis.client.xpending(name, group)));
      const before = handed;
      handed = found.reduce((sum, [count]) => sum + Number(count), 0);
      return handed > 50 && handed === before;
    });

    expect(handed).toBeLessThanOrEqual(100);
  });

  it("has room for one entry of each stream", () => {
    expect(() => groupDeliveries({ uri: "redis://h", stream: ["a", "b", "c"], group, window: 2 })).toThrow(
      /window: found 2, expected at least one for each of the 3 streams/,
    );
  });

  it("is one of bytes as well, also for what was delivered before", async () => {
    const text = JSON.stringify({ id: "x", n: 1, pad: "x".repeat(100_000) });
    const writing = redis.client.pipeline();
    for (let n = 0; n < 200; n += 1) writing.xadd(stream, "*", "event", text);
    await writing.exec();
    const settle = async (consumer: string) => {
      const held: string[] = [];
      const running = deliveries({ consumer, windowBytes: 1_000_000 }).subscribe(({ entryId }) =>
        held.push(entryId),
      );
      onTestFinished(() => running.unsubscribe());
      let before = -1;
      await waitUntil(() => {
        const isStill = held.length > 0 && held.length === before;
        before = held.length;
        return isStill;
      }, 100);
      running.unsubscribe();
      return held.length;
    };

    // It reads on at half of them, an eighth at a time.
    expect(await settle("one")).toBeLessThanOrEqual(8);
    await redis.client.xreadgroup("GROUP", group, "two", "COUNT", 100, "STREAMS", stream, ">");
    expect(await settle("two")).toBeLessThanOrEqual(8);
  });

  it("takes an entry that is larger than all of it", async () => {
    await redis.client.xadd(stream, "*", "event", JSON.stringify({ id: "x", pad: "x".repeat(5000) }));
    await add(1);
    const seen: string[] = [];
    const running = deliveries({ windowBytes: 100 })
      .pipe(acknowledge(({ id }) => void seen.push(id)))
      .subscribe();
    onTestFinished(() => running.unsubscribe());

    await waitUntil(async () => seen.length === 2 && (await pending()) === 0, 5);
    expect(seen).toEqual(["x", "o1"]);
  });
});

describe("entries that are trimmed before a group has read them", () => {
  it("are told, how many and where, and counted", async () => {
    const ids = await add(...Array.from({ length: 10 }, (_, n) => n));
    await redis.client.xgroup("CREATE", stream, group, "0");
    await redis.client.xreadgroup("GROUP", group, "other", "COUNT", 2, "STREAMS", stream, ">");
    await redis.client.xtrim(stream, "MAXLEN", 3);
    const metrics = consumerMetrics({ group });
    const { status, first } = watched();
    const running = deliveries({ status, metrics }).subscribe();
    onTestFinished(() => running.unsubscribe());

    expect(await first("gap")).toEqual({ state: "gap", stream, after: ids[1], before: ids[7], missed: 5 });
    expect(await metrics.registry.metrics()).toMatch(/rxadd_consumer_missed_total\{[^}]*\} 5/);
  });

  it("are told while a slow consumer waits for room", async () => {
    await add(...Array.from({ length: 6 }, (_, n) => n));
    const { status, first } = watched();
    let seen = 0;
    const running = deliveries({ status, window: 2 })
      .pipe(
        acknowledge(async () => {
          seen += 1;
          if (seen === 2) await redis.client.xtrim(stream, "MAXLEN", 1);
        }),
      )
      .subscribe();
    onTestFinished(() => running.unsubscribe());

    const { missed } = await first("gap");
    expect(missed).toBeGreaterThanOrEqual(1);
    await waitUntil(async () => (await pending()) === 0 && seen > 2, 5);
    expect(seen + (missed ?? 0)).toBe(6);
  });

  it("are not told where everything that was trimmed had been read", async () => {
    const { status } = watched();
    const states: string[] = [];
    status.subscribe(({ state }) => states.push(state));
    let seen = 0;
    const consume = () =>
      deliveries({ status })
        .pipe(
          acknowledge(() => {
            seen += 1;
          }),
        )
        .subscribe();
    await add(1, 2, 3);
    const before = consume();
    await waitUntil(async () => seen === 3 && (await pending()) === 0, 5);
    before.unsubscribe();
    await redis.client.xtrim(stream, "MAXLEN", 0);
    await add(4, 5);
    const running = consume();
    onTestFinished(() => running.unsubscribe());
    await waitUntil(() => seen === 5, 5);

    expect(states).not.toContain("gap");
  });
});

describe("a group that was destroyed while its stream stands", () => {
  it("goes on with what is new where that is its start, without losing what came meanwhile", async () => {
    await add(1, 2);
    const seen: number[] = [];
    const { status, first } = watched();
    const running = deliveries({ start: "$", status })
      .pipe(acknowledge((order: Order) => void seen.push(order.n)))
      .subscribe();
    onTestFinished(() => running.unsubscribe());
    await first("reading");
    await add(3);
    await waitUntil(async () => seen.length === 1 && (await pending()) === 0, 5);
    await redis.client.multi().xgroup("DESTROY", stream, group).xadd(stream, "*", "event", '{"n":4}').exec();

    expect((await first("warning")).message).toMatch(/the group was gone; it is made anew/);
    await waitUntil(() => seen.length === 2, 5);
    expect(seen).toEqual([3, 4]);
  });
});

describe("one connection for many consumers", () => {
  it("has as many listeners as for one, and none when they are gone", async () => {
    const connection = new Redis(redis.uri);
    onTestFinished(() => connection.disconnect());
    const { status, first } = watched();
    const running = Array.from({ length: 12 }, (_, n) =>
      groupDeliveries({ connection, stream: `s${n}`, group, ...(n === 11 && { status }) }).subscribe(),
    );
    await first("opened");
    const listeners = () =>
      Math.max(...connection.eventNames().map((name) => connection.listenerCount(name)));

    expect(listeners()).toBeLessThanOrEqual(2);
    for (const one of running) one.unsubscribe();
    expect(connection.listenerCount("ready")).toBe(0);
  });
});

describe("a connection with a keyPrefix", () => {
  it("is refused by all that read, as Redis calls the streams otherwise", () => {
    const connection = new Redis({ keyPrefix: "app:", lazyConnect: true });
    const refusal = /connection: found keyPrefix "app:", expected none/;

    expect(() => groupDeliveries({ connection, stream, group })).toThrow(refusal);
    expect(() => streamEntries({ connection, stream })).toThrow(refusal);
    expect(() => streamSource({ connection, stream })).toThrow(refusal);
    expect(() => streamEntries({ uri: "redis://h?keyPrefix=app:", stream })).toThrow(/keyPrefix/);
    connection.disconnect();
  });
});
