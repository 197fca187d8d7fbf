import { Cluster } from "ioredis";
import { afterAll, beforeAll } from "vitest";
import { type ClusterServers, type ClusterSettings, startCluster } from "./clusterServers.ts";

/** A Cluster, and a client of the test's own. */
export interface ClusterBed extends ClusterServers {
  readonly client: Cluster;
}

/** One Cluster for all tests of a file, or of a `describe`: to be asked for within one. */
export function aCluster(settings: ClusterSettings = {}): () => ClusterBed {
  let bed: ClusterBed | undefined;
  beforeAll(async () => {
    const servers = await startCluster(settings);
    const client = new Cluster(servers.nodes.map(({ port }) => ({ host: "127.0.0.1", port })));
    bed = { ...servers, client };
  });
  afterAll(async () => {
    bed?.client.disconnect();
    await bed?.stop();
  });
  return () => {
    if (bed === undefined) throw new Error("the Cluster starts before the first test: ask within one");
    return bed;
  };
}
