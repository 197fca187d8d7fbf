import { afterAll, beforeAll } from "vitest";
import { aCluster } from "../../kit/servers/aCluster.ts";
import type { ClusterServers } from "../../kit/servers/clusterServers.ts";
import { type RedisServer, startRedis } from "../../kit/servers/redisServer.ts";
import { waitUntil } from "../../kit/time/waitUntil.ts";
import { streamsOn } from "./clusterWorld.ts";
import type { RealKind } from "./realWorld.ts";

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

/** Each way of publishing, and what differs with it, by name. */
export const kindsOfRedis: Readonly<Record<string, RealKind>> = {
  script: { publish: "script", streams: 1 },
  multi: { publish: "multi", streams: 1 },
  "script, computed streams": { publish: "script", streams: 3 },
  "multi, computed streams": { publish: "multi", streams: 3 },
  "script, durability": { publish: "script", streams: 1, isDurable: true },
  "script, the caller's connection": { publish: "script", streams: 1, db: 5 },
  "multi, the caller's connection": { publish: "multi", streams: 1, db: 5 },
  "durability, the caller's connection": { publish: "script", streams: 1, isDurable: true, db: 5 },
};
