import type { Cluster, Redis } from "ioredis";

/** Tells a Cluster by the flag that ioredis sets, so that one of another copy of ioredis is one, too. */
export function isCluster(client: Redis | Cluster): client is Cluster {
  return client.isCluster;
}

/** The servers that take writes. */
export function mastersOf(client: Redis | Cluster): readonly Redis[] {
  return isCluster(client) ? client.nodes("master") : [client];
}
