import { firstValueFrom } from "rxjs";
import { beforeEach, describe, expect, it } from "vitest";
import { inspect } from "../../src/redis/inspect/inspection.ts";
import type { LaneUse } from "../../src/redis/inspect/rights.ts";
import { startCluster } from "../kit/servers/clusterServers.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import type { RedisServer } from "../kit/servers/redisServer.ts";
import { documentedExtra, documentedRights } from "../repository/documentedRights.ts";

const redis = emptyRedis();
const producer = documentedRights("producer");
const plain: LaneUse = { publish: "script", durability: undefined, trim: undefined };

function setUser({ client }: Pick<RedisServer, "client">, ...rules: readonly string[]): Promise<unknown> {
  return client.call("ACL", "SETUSER", "producer", ...rules);
}

interface Asked {
  readonly use?: LaneUse;
  readonly uri?: string;
  readonly deadLetters?: string;
  readonly isComputed?: boolean;
}

/** What is found of a lane of the user `producer`, with the stream `orders.events`. */
async function lane({ use = plain, uri = redis.uri, deadLetters, isComputed = false }: Asked = {}) {
  const state = isComputed ? "rxadd:orders-redis" : "{orders.events}:rxadd:orders-redis";
  const { lanes } = await firstValueFrom(
    inspect({
      ...use,
      uri: uri.replace("://", "://producer:password@"),
      name: "rxadd:check",
      connectTimeoutMs: 5000,
      sendTimeoutMs: 5000,
      lanes: [{ state, mark: `${state}:mark`, streams: ["orders.events"], deadLetters, isComputed }],
    }),
  );
  return lanes[0];
}

/** What the user would miss to publish there. */
async function deniedTo(asked?: Asked): Promise<readonly string[] | undefined> {
  return (await lane(asked))?.denied;
}

describe("inspect, as the producer of docs/connections.md", () => {
  beforeEach(() => setUser(redis, ...producer));

  it("finds that the rights are enough, and writes nothing", async () => {
    expect(await deniedTo()).toEqual([]);
    expect(await redis.client.keys("*")).toEqual([]);
    expect(await redis.client.call("ACL", "LOG")).toEqual([]);
  });

  it.each(producer.filter((rule) => /^\+(eval|evalsha|type|hmget|hset|xadd|xlen)$/.test(rule)))(
    "finds that %s is missing",
    async (rule) => {
      await setUser(redis, rule.replace("+", "-"));

      expect((await deniedTo())?.join()).toMatch(new RegExp(rule.slice(1), "i"));
    },
  );

  it("finds that it may not write to the stream's key", async () => {
    await setUser(redis, "resetkeys", "~{orders.events}:rxadd:*");

    expect(await deniedTo()).toEqual(["TYPE orders.events", "XADD orders.events", "XLEN orders.events"]);
  });

  const extras: readonly [string, Asked, readonly string[]][] = [
    ["`durability`", { use: { ...plain, durability: { aof: false } } }, ["WAIT"]],
    ["`deadLetters`", { deadLetters: "orders.dead" }, ["TYPE orders.dead", "XADD orders.dead"]],
    ["`trim`", { use: { ...plain, trim: { maxAgeMs: 5 } } }, ["XTRIM orders.events", "TIME"]],
    [
      "`trim`",
      { use: { ...plain, trim: { acknowledged: true } } },
      ["XTRIM", "XINFO", "XRANGE", "XPENDING"].map((command) => `${command} orders.events`),
    ],
    [
      "computed streams",
      { isComputed: true },
      [
        ...["HMGET rxadd:orders-redis", "HSET rxadd:orders-redis"],
        ...["HMGET rxadd:orders-redis:mark", "HSET rxadd:orders-redis:mark", "XDEL orders.events"],
      ],
    ],
  ];

  it.each(extras)(
    "finds what the page adds for %s, and that it is enough: %j",
    async (what, asked, missing) => {
      expect(await deniedTo(asked)).toEqual(missing);

      await setUser(redis, ...documentedExtra("producer", what).filter((rule) => rule !== "+waitaof"));

      expect(await deniedTo(asked)).toEqual([]);
    },
  );

  it("finds what publishing without scripts needs, and that it is enough", async () => {
    const asked: Asked = { use: { ...plain, publish: "multi" } };
    await setUser(redis, "-eval", "-evalsha");
    const around = ["WATCH {orders.events}:rxadd:orders-redis", "UNWATCH", "EXEC", "MULTI"];
    expect(await deniedTo(asked)).toEqual(around);

    await setUser(redis, ...documentedExtra("producer", '`publish: "multi"`'));
    expect(await deniedTo(asked)).toEqual([]);

    await setUser(redis, "-hset", "-xrevrange");
    expect(await deniedTo(asked)).toEqual([
      "HSET {orders.events}:rxadd:orders-redis",
      "HSET {orders.events}:rxadd:orders-redis:mark",
      "XREVRANGE orders.events",
    ]);
    expect(await redis.client.keys("*")).toEqual([]);
  });

  it("finds them in a Cluster, and keys of different slots", async () => {
    const cluster = await startCluster({ masters: 2 });
    const rights = [...producer, ...documentedExtra("producer", "a Cluster")];
    for (const node of cluster.nodes) await setUser(node, ...rights);
    expect(await deniedTo({ uri: cluster.uri })).toEqual([]);

    for (const node of cluster.nodes) await setUser(node, "~orders.dead");
    const elsewhere = await lane({ uri: cluster.uri, deadLetters: "orders.dead" });
    expect(elsewhere?.refusal).toMatchObject({ _tag: "CrossSlot" });

    for (const node of cluster.nodes) await setUser(node, "-hset");
    expect(await deniedTo({ uri: cluster.uri })).toEqual([
      "HSET {orders.events}:rxadd:orders-redis",
      "HSET {orders.events}:rxadd:orders-redis:mark",
    ]);
    await cluster.stop();
  });
});
