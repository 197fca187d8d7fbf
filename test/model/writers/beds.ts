import { afterAll, beforeAll } from "vitest";
import { aCluster } from "../../kit/servers/aCluster.ts";
import type { ClusterServers } from "../../kit/servers/clusterServers.ts";
import { type RedisServer, startRedis } from "../../kit/servers/redisServer.ts";
import { waitUntil } from "../../kit/time/waitUntil.ts";
import { streamsOn } from "./clusterWorld.ts";

/** A Redis with a replica, for all tests of a `describe`: to be asked for within one. */
export function redisWithReplica(): () => RedisServer {
  let server: RedisServer | undefined;
  let replica: RedisServer | undefined;
  beforeAll(async () => {
    const master = await startRedis(["--repl-diskless-sync-delay", "0"]);
    server = master;
    replica = await startRedis(["--replicaof", `127.0.0.1 ${master.port}`]);
    await waitUntil(async () => (await master.client.info("replication")).includes("state=online"));
  });
  afterAll(async () => {
    await replica?.stop();
    await server?.stop();
  });
  return () => {
    if (server === undefined) throw new Error("the servers start before the first test: ask within one");
    return server;
  };
}

/** A Cluster of three masters, and a stream on each, likewise. */
export function threeMasters(): () => Promise<readonly [ClusterServers, readonly string[]]> {
  const cluster = aCluster({ masters: 3 });
  return async () => [cluster(), await streamsOn(cluster())];
}
