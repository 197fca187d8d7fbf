import { Redis } from "ioredis";
import { lastValueFrom } from "rxjs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { laneKeys } from "../../../src/redis/publish/publishPort.ts";
import { resultsOf, Transactions } from "../../../src/redis/publish/transactions.ts";
import { type RedisServer, startRedis } from "../../kit/servers/redisServer.ts";

const keys = laneKeys("orders", "shop", "orders.dead");

let server: RedisServer;
let client: Redis;
let transactions: Transactions;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());
beforeEach(async () => {
  await server.client.flushall();
  client = new Redis(server.uri);
  transactions = new Transactions(client);
});
afterEach(() => client.disconnect());

const setting = (value: number) => client.multi().hset(keys.state, { sequence: value });

describe("transactions", () => {
  it("say what the keys hold, of which dead letters make no stream stand", async () => {
    await server.client.xadd("orders.dead", "*", "event", "x");
    const streams = ["orders", "orders.dead"];
    expect(await transactions.watch(keys, streams)).toMatchObject({ streamStands: false, state: undefined });

    await server.client.hset(keys.state, { epoch: 1, sequence: 2 });
    await server.client.xadd("orders", "*", "event", "x");
    const state = { epoch: 1, sequence: 2 };
    expect(await transactions.watch(keys, streams)).toMatchObject({ streamStands: true, state });
  });

  it("refuse a key that holds something else", async () => {
    await server.client.set("orders", "text");
    await expect(transactions.watch(keys, ["orders"])).rejects.toThrow("WRONGTYPE orders holds a string");
  });

  it("do nothing when another client changed what was watched", async () => {
    const watched = await transactions.watch(keys, []);
    await server.client.hset(keys.state, { sequence: 7 });

    const replies = await transactions.commit(setting(8), watched);

    expect(() => resultsOf(replies)).toThrow("another client changed");
    expect(await server.client.hget(keys.state, "sequence")).toBe("7");
  });

  it("send nothing on another connection than that of the WATCH", async () => {
    const watched = await transactions.watch(keys, []);
    client.disconnect(true);
    await new Promise((resolve) => client.once("ready", resolve));

    await expect(transactions.commit(setting(8), watched)).rejects.toMatchObject({ _tag: "Contended" });
    expect(await server.client.exists(keys.state)).toBe(0);
  });

  it("come one after the other, whatever becomes of the one before", async () => {
    const order: string[] = [];
    const task = (name: string, isGood: boolean) =>
      lastValueFrom(
        transactions.alone(async () => {
          order.push(`${name} begins`);
          await client.ping();
          order.push(`${name} ends`);
          if (!isGood) throw new Error(name);
        }),
      );
    const all = [task("one", true), task("two", false), task("three", true)];

    expect((await Promise.allSettled(all)).map(({ status }) => status)).toEqual([
      ...["fulfilled", "rejected", "fulfilled"],
    ]);
    expect(order).toEqual(["one", "two", "three"].flatMap((name) => [`${name} begins`, `${name} ends`]));
  });
});
