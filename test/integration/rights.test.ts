import { Redis } from "ioredis";
import { lastValueFrom, map, range } from "rxjs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { redisSink, type SinkOptions } from "../../src/index.ts";
import { startCluster } from "../support/clusterServers.ts";
import { documentedExtra, documentedRights } from "../support/documentedRights.ts";
import { type RedisServer, startRedis } from "../support/redisServer.ts";
import { startSentinels } from "../support/sentinelServers.ts";

type Numbered = { readonly position: number };

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
beforeEach(() => redis.client.flushall());

function setUser({ client }: RedisServer, user: string, ...rules: readonly string[]): Promise<unknown> {
  return client.call("ACL", "SETUSER", user, ...rules);
}

/** Publishes as the user `producer`, also an event that cannot be encoded if there are dead letters. */
async function publish(settings: Partial<SinkOptions<Numbered, number>> = {}, uri = redis.uri) {
  const sink = redisSink<Numbered, number>({
    id: "orders-redis",
    uri: uri.replace("://", "://producer:password@"),
    stream: "orders.events",
    event: {
      encode: (event) => {
        if (event.position === 2 && settings.deadLetters !== undefined) throw new TypeError("poison");
        return JSON.stringify(event);
      },
    },
    ...settings,
  });
  const { position } = await lastValueFrom(
    range(1, 3).pipe(
      map((position) => ({ position })),
      sink,
    ),
  );
  return position;
}

describe("the rights that docs/connections.md gives a producer", () => {
  const producer = documentedRights("producer");

  it("are enough to publish", async () => {
    await setUser(redis, "producer", ...producer);

    expect(await publish()).toBe(3);
    expect(await redis.client.call("ACL", "LOG")).toEqual([]);
  });

  it("are enough with entries of others in the stream", async () => {
    await redis.client.xadd("orders.events", "*", "event", "{}");

    expect(await publish()).toBe(3);
  });

  it("are not enough to write anything else", async () => {
    await expect(publish({ stream: "others.events" })).rejects.toMatchObject({ _tag: "PermissionDenied" });
    expect(await redis.client.keys("*")).toEqual([]);
  });

  const extras: readonly [string, Partial<SinkOptions<Numbered, number>>][] = [
    ["`durability`", { durability: { replicas: 0 } }],
    ["`deadLetters`", { deadLetters: { stream: "orders.dead" } }],
    ["computed streams", { stream: ({ position }) => `orders.${position % 2}` }],
    ['`publish: "pipeline"`', { publish: "pipeline" }],
  ];

  it.each(extras)("are enough for %s with what the page adds, and not without", async (what, settings) => {
    const extra = documentedExtra(what);
    expect(extra.length).toBeGreaterThan(0);
    await setUser(redis, "producer", ...producer, "-eval", "-evalsha");
    if (what.includes("pipeline")) await setUser(redis, "producer", ...extra);
    else
      await setUser(redis, "producer", "+eval", "+evalsha", ...extra.filter((rule) => rule !== "+waitaof"));
    expect(await publish(settings)).toBe(3);

    await redis.client.flushall();
    await setUser(redis, "producer", ...producer);
    if (what.includes("pipeline")) await setUser(redis, "producer", "-eval", "-evalsha");
    await expect(publish(settings)).rejects.toMatchObject({ _tag: "PermissionDenied" });
    expect(await redis.client.xlen("orders.events")).toBeLessThanOrEqual(3);
  });

  it("are enough for a Cluster with what the page adds", async () => {
    const cluster = await startCluster({ masters: 2 });
    for (const node of cluster.nodes) {
      await setUser(node, "producer", ...producer, ...documentedExtra("a Cluster"), "+wait");
    }

    expect(await publish({ durability: { replicas: 0 } }, cluster.uri)).toBe(3);
    for (const { client } of cluster.nodes) expect(await client.call("ACL", "LOG")).toEqual([]);
    await cluster.stop();
  });

  it("are enough behind Sentinels, whose own user needs what the page says", async () => {
    const sentinels = await startSentinels({ replicas: 1 });
    for (const server of sentinels.servers) await setUser(server, "producer", ...producer);
    for (const port of sentinels.ports) {
      const client = new Redis(port, "127.0.0.1", { enableReadyCheck: false });
      const rules = ["on", ">watch", "-@all", "+sentinel", "+subscribe", "&+switch-master"];
      await client.call("ACL", "SETUSER", "watcher", "resetchannels", ...rules);
      client.disconnect();
    }

    const sentinel = { username: "watcher", password: "watch" };
    expect(await publish({ sentinel }, sentinels.uri)).toBe(3);
    for (const { client } of sentinels.servers) expect(await client.call("ACL", "LOG")).toEqual([]);
    await sentinels.stop();
  });
});

describe("the rights that docs/connections.md gives a consumer", () => {
  it("are enough to consume with a group, and not enough to write", async () => {
    await setUser(redis, "producer", ...documentedRights("producer"));
    await setUser(redis, "consumer", ...documentedRights("consumer"));
    await publish();
    const consumer = new Redis(redis.uri.replace("://", "://consumer:password@"));

    await consumer.xgroup("CREATE", "orders.events", "g", "0");
    const read = await consumer.xreadgroup("GROUP", "g", "c1", "COUNT", 2, "STREAMS", "orders.events", ">");
    expect(JSON.stringify(read)).toContain("position");
    await consumer.xautoclaim("orders.events", "g", "c2", 0, "0-0", "COUNT", 1);
    const [pending] = await consumer.xpending("orders.events", "g");
    expect(pending).toBe(2);
    const [entry] = await consumer.xrange("orders.events", "-", "+", "COUNT", 1);
    expect(await consumer.xack("orders.events", "g", entry?.[0] ?? "")).toBe(1);

    await expect(consumer.xadd("orders.events", "*", "event", "{}")).rejects.toThrow("NOPERM");
    await expect(consumer.hgetall("{orders.events}:rxadd:orders-redis")).rejects.toThrow("NOPERM");
    consumer.disconnect();
  });
});
