import type { SinkOptions } from "../../../src/index.ts";
import type { Numbered } from "../../kit/load/pacedNumbers.ts";
import { type ClusterServers, type ClusterSettings, startCluster } from "../../kit/servers/clusterServers.ts";
import type { Bed, Scene } from "./fault.ts";
import { stream } from "./writers.ts";

/** A bed of a Redis Cluster. */
export interface Clustered extends Bed {
  readonly cluster: ClusterServers;
}

/** Starts one. */
export async function clustered(
  servers: ClusterSettings,
  settings: Partial<Omit<SinkOptions<Numbered, number>, "uri" | "connection">> = {},
): Promise<Clustered> {
  const cluster = await startCluster(servers);
  return {
    cluster,
    settings: { uri: cluster.uri, sendTimeoutMs: 500, connectTimeoutMs: 500, ...settings },
    reader: async () => (await cluster.ownerOf(stream)).client,
    stop: cluster.stop,
  };
}

export const withReplicas = { masters: 3, replicasPerMaster: 1 } as const;

/** What an injection has at hand. */
export type OnClustered = Pick<Scene<Clustered>, "bed" | "load">;
