import { Cluster } from "ioredis";
import { lastValueFrom, map, range } from "rxjs";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { redisSink } from "../../src/index.ts";
import { freePort, type RedisServer, startRedis } from "../support/redisServer.ts";
import { readEvents } from "../support/tally.ts";

let nodes: readonly RedisServer[];
let cluster: Cluster;

/** A node whose bus is on a free port, too: by default it is 10,000 above the other, which may be too high. */
async function startNode() {
  const busPort = await freePort();
  const node = await startRedis(["--cluster-enabled", "yes", "--cluster-port", `${busPort}`]);
  return { node, busPort };
}

/** Three masters that share the slots. */
beforeAll(async () => {
  const started = await Promise.all([startNode(), startNode(), startNode()]);
  nodes = started.map(({ node }) => node);
  const [first] = started;
  for (const [index, { node }] of started.entries()) {
    const from = Math.floor((16_384 * index) / 3);
    const to = Math.floor((16_384 * (index + 1)) / 3) - 1;
    await node.client.call("CLUSTER", "ADDSLOTSRANGE", from, to);
    await node.client.call("CLUSTER", "SET-CONFIG-EPOCH", index + 1);
    if (index > 0) await node.client.call("CLUSTER", "MEET", "127.0.0.1", first.node.port, first.busPort);
  }
  for (const { client } of nodes) {
    await vi.waitUntil(
      async () => {
        const info = `${await client.call("CLUSTER", "INFO")}`;
        return info.includes("cluster_state:ok") && info.includes("cluster_known_nodes:3");
      },
      { timeout: 30_000 },
    );
  }
  cluster = new Cluster([{ host: "127.0.0.1", port: first.node.port }]);
});
afterAll(async () => {
  cluster.disconnect();
  await Promise.all(nodes.map((node) => node.stop()));
});

describe("redisSink over a Cluster of the caller's", () => {
  it("publishes to streams on all nodes, each exactly once and in order", async () => {
    const events$ = range(1, 3000).pipe(map((n) => ({ n, position: n, shard: n % 10 })));
    const settings = { id: "orders-redis", connection: cluster, stream: "orders.${shard}" };

    await lastValueFrom(events$.pipe(redisSink(settings)));
    const checkpoint = await lastValueFrom(events$.pipe(redisSink(settings)));

    expect(checkpoint.position).toBe(3000);
    const perNode = await Promise.all(
      nodes.map(async ({ client }) => (await client.keys("orders.*")).length),
    );
    expect(perNode.every((keys) => keys > 0)).toBe(true);
    for (const { client } of nodes) {
      for (const key of await client.keys("orders.*")) {
        const shard = Number(key.split(".")[1]);
        const numbers = (await readEvents(client, key)).map((event) => JSON.parse(event).n);
        expect(numbers).toEqual(
          Array.from({ length: 3000 }, (_, i) => i + 1).filter((n) => n % 10 === shard),
        );
      }
    }
  });

  it("keeps a stream key's own hash tag", async () => {
    const event$ = range(1, 5).pipe(map((position) => ({ position })));

    await lastValueFrom(event$.pipe(redisSink({ id: "a", connection: cluster, stream: "{shop}.orders" })));

    expect(await cluster.hget("{shop}.orders:rxadd:a", "position")).toBe("5");
  });

  it("refuses publish: pipeline, which needs one connection", () => {
    const failure = lastValueFrom(
      range(1, 1).pipe(
        map((position) => ({ position })),
        redisSink({ id: "a", connection: cluster, stream: "s", publish: "pipeline" }),
      ),
    );

    return expect(failure).rejects.toMatchObject({ _tag: "ConfigurationInvalid" });
  });
});
