import { Cluster } from "ioredis";
import { lastValueFrom, map, range } from "rxjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { redisSink } from "../../src/index.ts";
import { type ClusterServers, startCluster } from "../support/clusterServers.ts";
import { readEvents } from "../support/tally.ts";

let servers: ClusterServers;
let cluster: Cluster;

beforeAll(async () => {
  servers = await startCluster();
  cluster = new Cluster(servers.nodes.map(({ port }) => ({ host: "127.0.0.1", port })));
});
afterAll(async () => {
  cluster.disconnect();
  await servers.stop();
});

describe("redisSink over a Cluster of the caller's", () => {
  it("publishes to streams on all nodes, each exactly once and in order", async () => {
    const events$ = range(1, 3000).pipe(map((n) => ({ n, position: n, shard: n % 10 })));
    const settings = { id: "orders-redis", connection: cluster, stream: "orders.${shard}" };

    await lastValueFrom(events$.pipe(redisSink(settings)));
    const checkpoint = await lastValueFrom(events$.pipe(redisSink(settings)));

    expect(checkpoint.position).toBe(3000);
    const perNode = await Promise.all(
      servers.nodes.map(async ({ client }) => (await client.keys("orders.*")).length),
    );
    expect(perNode.every((keys) => keys > 0)).toBe(true);
    for (const { client } of servers.nodes) {
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
