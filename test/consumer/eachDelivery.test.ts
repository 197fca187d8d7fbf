import { NEVER, of, Subject } from "rxjs";
import { describe, expect, it } from "vitest";
import { toAsyncIterable } from "../../operators/index.ts";
import { acknowledge, type Delivery, eachDelivery, streamEntries } from "../../src/consumer.ts";
import { fakeGroup } from "../../src/testing/fakeGroup.ts";
import { group, type Order, ordersGroup, stream } from "../kit/load/ordersGroup.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

const redis = emptyRedis();
const { add, deliveries, pending, consumers } = ordersGroup(redis);

describe("eachDelivery", () => {
  it("acknowledges each when the loop comes back for the next one", async () => {
    const group = fakeGroup<string>();
    const before: number[] = [];
    for await (const { event } of eachDelivery(of(group.delivery("a"), group.delivery("b")))) {
      before.push(group.acknowledged.length);
      expect(["a", "b"]).toContain(event);
    }

    expect(before).toEqual([0, 1]);
    expect(group.acknowledged).toEqual(["1-0", "2-0"]);
  });

  it("leaves pending what the loop was left with", async () => {
    const group = fakeGroup<string>();
    const source = new Subject<Delivery<string>>();
    const loop = (async () => {
      for await (const { event } of eachDelivery(source)) if (event === "b") throw new Error("no");
    })();
    await waitUntil(() => source.observed);
    for (const event of ["a", "b", "c"]) source.next(group.delivery(event));

    await expect(loop).rejects.toThrow("no");
    expect(group.acknowledged).toEqual(["1-0"]);
    expect(source.observed).toBe(false);
  });

  it("has acknowledged all before the one that it is left with, however fast it was", async () => {
    const ids = await add(...Array.from({ length: 60 }, (_, n) => n));
    let seen = 0;
    for await (const _ of eachDelivery<Order>(deliveries())) {
      seen += 1;
      if (seen === 50) break;
    }

    const left = await redis.client.xpending(stream, group, "-", "+", 1);
    expect(left[0]).toMatchObject([ids[49], "one", expect.anything(), 1]);
  });

  it("reads a group, drains, and leaves it", async () => {
    await add(1, 2, 3, 4, 5);
    const until = new Subject<void>();
    const seen: number[] = [];
    for await (const { event } of eachDelivery<Order>(deliveries({ until, window: 2 }))) {
      seen.push(event.n);
      await new Promise((next) => setTimeout(next, 5));
      if (event.n === 5) until.next();
    }

    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(await pending()).toBe(0);
    expect(await consumers()).toEqual([]);
  });

  it("throws the error of its source behind what came before", async () => {
    await add(1);
    await redis.client.xadd(stream, "*", "event", "no JSON");
    const seen: number[] = [];
    const loop = async () => {
      for await (const { event } of eachDelivery<Order>(deliveries())) seen.push(event.n);
    };

    await expect(loop()).rejects.toMatchObject({ _tag: "EntryNotDecodable" });
    expect(seen).toEqual([1]);
  });
});

describe("the entries of a stream, as an async iterable", () => {
  it("wait for a loop that is slower, and close their connections where it is left", async () => {
    await add(...Array.from({ length: 500 }, (_, n) => n));
    const seen: number[] = [];
    const entries = toAsyncIterable(
      (flow) => streamEntries<Order>({ uri: redis.uri, stream, from: "0-0", count: 50, flow }),
      { maxItems: 20 },
    );
    for await (const { event } of entries) {
      seen.push(event.n);
      if (event.n % 50 === 0) await new Promise((next) => setTimeout(next, 2));
      if (event.n === 499) break;
    }

    expect(seen).toEqual(Array.from({ length: 500 }, (_, n) => n));
    await waitUntil(async () => !String(await redis.client.client("LIST")).includes("rxadd:reader"));
  });

  it("refuse what is no delivery", async () => {
    const loop = async () => {
      for await (const _ of eachDelivery(of({} as Delivery<string>))) expect.unreachable();
    };
    await expect(loop()).rejects.toThrow(/found what no consumer has handed out/);
    expect(NEVER.pipe(acknowledge(() => undefined))).toBeDefined();
  });
});
