import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { publisher, type RxaddError, redisSink, type SinkSettings } from "../../src/index.ts";
import { tallyStream } from "../kit/load/tally.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

interface Order {
  readonly id: number;
  readonly toJSON?: () => never;
}

const settings = { id: "orders", stream: "orders.events" } satisfies SinkSettings<Order, never>;
const orders = (count: number) => Array.from({ length: count }, (_, id) => ({ id }));
/** An order that has no JSON. */
const bad = (id: number): Order => ({
  id,
  toJSON: () => {
    throw new Error("no total");
  },
});
const tagOf = (error: RxaddError) => error._tag;

describe("a publisher on a real server", () => {
  const redis = emptyRedis();

  function opened(options: Partial<SinkSettings<Order, never>> = {}) {
    return publisher(redisSink<Order, never>({ ...settings, ...options, uri: redis.uri }));
  }

  async function idsThere(stream = settings.stream): Promise<readonly number[]> {
    const entries = await redis.client.xrange(stream, "-", "+");
    return entries.map(([, [, json = ""]]) => JSON.parse(json).id);
  }

  it("answers ten thousand calls at once, each with the entry that its batch ended with, in order", async () => {
    const shop = opened();
    const checkpoints = await Promise.all(orders(10_000).map((order) => shop.publish(order)));
    await shop.close();

    expect(await idsThere()).toEqual(orders(10_000).map(({ id }) => id));
    const sequences = checkpoints.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect(checkpoints.at(-1)?.entryId).toBe(
      (await redis.client.xrevrange(settings.stream, "+", "-", "COUNT", 1))[0]?.[0],
    );
  });

  it("rejects an event that cannot be encoded, and publishes those around it", async () => {
    const shop = opened();
    const calls = [{ id: 1 }, bad(2), { id: 3 }].map((order) => shop.publish(order).catch(tagOf));
    expect(await Promise.all(calls)).toEqual([
      expect.objectContaining({ sink: "orders" }),
      "EventNotEncodable",
      expect.objectContaining({ sink: "orders" }),
    ]);
    await expect(shop.publish(bad(4))).rejects.toThrow(/event 3: .*no total/);
    await shop.close();

    expect(await idsThere()).toEqual([1, 3]);
  });

  it("is no writer without positions because its first event's position is none", async () => {
    const shop = publisher(redisSink<{ position: number }>({ ...settings, uri: redis.uri }));
    const answers = [Number.NaN, 1, 2].map((position) => shop.publish({ position }).catch(tagOf));
    expect(await answers[0]).toBe("PositionInvalid");
    expect(await shop.publish({ position: 3 })).toMatchObject({ position: 3, events: 1 });
    expect(await Promise.all(answers.slice(1))).toMatchObject([{ position: 2 }, { position: 2 }]);
    const alone = publisher(redisSink<{ position: number }>({ ...settings, id: "alone", uri: redis.uri }));
    await expect(alone.publish({ position: Number.NaN })).rejects.toMatchObject({ _tag: "PositionInvalid" });
    expect(await alone.publish({ position: 1 })).toMatchObject({ position: 1 });
    await Promise.all([shop.close(), alone.close()]);
  });

  it("rejects also what went to the dead letters", async () => {
    const shop = opened({ deadLetters: { stream: "orders.dead" } });
    await expect(shop.publish(bad(7))).rejects.toMatchObject({ _tag: "EventNotEncodable" });
    await shop.close();

    expect(await redis.client.xlen("orders.dead")).toBe(1);
    expect(await redis.client.exists(settings.stream)).toBe(0);
  });

  it("holds what Redis does not take, refuses what would be too much, and goes on when Redis does", async () => {
    const shop = opened({ buffer: { maxEvents: 20 }, retry: { initialMs: 20, maxMs: 20 } });
    await shop.publish({ id: 0 });
    await redis.client.call("CLIENT", "PAUSE", "60000", "WRITE");
    const calls = orders(21).map(({ id }) => shop.publish({ id: id + 1 }).catch(tagOf));
    const overflows = calls.slice(10);
    expect(await Promise.all(overflows)).toEqual(overflows.map(() => "BufferOverflow"));
    const all = shop.publishAll(orders(500).map(({ id }) => ({ id: id + 100 })));
    await redis.client.call("CLIENT", "UNPAUSE");
    await all;
    await Promise.all(calls);
    await shop.close();

    expect(await idsThere()).toEqual([...Array(11).keys(), ...orders(500).map(({ id }) => id + 100)]);
  });

  it("gives up after withinMs when Redis stays away", async () => {
    const shop = opened();
    await shop.publish({ id: 1 });
    await redis.client.call("CLIENT", "PAUSE", "60000", "WRITE");
    const call = shop.publish({ id: 2 });
    const closed = shop.close({ withinMs: 50 });

    await expect(call).rejects.toMatchObject({ _tag: "PublisherClosed" });
    await expect(closed).rejects.toThrow("found 1 event not known to be safe after 50 ms");
    await redis.client.call("CLIENT", "UNPAUSE");
  });
});

describe("a publisher whose Redis dies", () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis(["--appendonly", "yes", "--appendfsync", "always"]);
  });
  afterAll(() => redis.stop());

  it("answers each call once its event is there, with 0 lost, 0 duplicates and 0 inversions over kills and resets", async () => {
    const count = 20_000;
    const shop = publisher(
      redisSink<{ readonly n: number }, never>({
        ...{ id: "orders", uri: redis.uri, stream: "orders.events", buffer: { maxEvents: 2_000 } },
        retry: { initialMs: 5, maxMs: 20 },
      }),
    );
    const answered: number[] = [];
    let isDone = false;
    async function publish(): Promise<void> {
      // Ever anew a thousand at once, of which each is answered by itself.
      for (let first = 1; first <= count; first += 1_000) {
        const calls = Array.from({ length: 1_000 }, (_, index) => first + index).map(async (n) => {
          await shop.publish({ n });
          answered.push(n);
        });
        await Promise.all(calls);
      }
      isDone = true;
    }
    async function breakIt(): Promise<number> {
      let faults = 0;
      for (; !isDone; faults += 1) {
        const before = answered.length;
        if (faults % 3 === 2) {
          await redis.signal("SIGKILL");
          await redis.start();
        } else await redis.client.call("CLIENT", "KILL", "TYPE", "NORMAL", "SKIPME", "YES");
        await waitUntil(() => isDone || answered.length > before + 200, 1);
      }
      return faults;
    }
    const [, faults] = await Promise.all([publish(), breakIt()]);
    await shop.close();

    expect(faults).toBeGreaterThan(8);
    expect(answered).toEqual(Array.from({ length: count }, (_, index) => index + 1));
    expect(await tallyStream(redis.client, "orders.events", count)).toEqual({
      entries: count,
      lost: 0,
      duplicates: 0,
      inversions: 0,
    });
  });
});
