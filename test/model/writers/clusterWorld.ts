import { Cluster, type Redis } from "ioredis";
import type { ClusterServers } from "../../kit/servers/clusterServers.ts";
import type { RedisServer } from "../../kit/servers/redisServer.ts";
import { lineOver } from "./lineOver.ts";
import {
  type Command,
  contentOf,
  copyOf,
  emptied,
  exhaust,
  inRealTime,
  losing,
  positionOf,
  removed,
  restored,
} from "./realWorld.ts";
import type { Content, Keys, Line, World } from "./world.ts";
import { sinkId } from "./writer.ts";

/** Keys of streams, one for each node. */
export async function streamsOn(cluster: ClusterServers): Promise<readonly string[]> {
  const found = new Map<RedisServer, string>();
  for (let index = 0; found.size < cluster.nodes.length; index += 1) {
    const owner = await cluster.ownerOf(`s${index}`);
    if (!found.has(owner)) found.set(owner, `s${index}`);
  }
  return [...found.values()];
}

/** A Cluster for one history; each of the streams has a lane of its own. */
export async function clusterWorld(cluster: ClusterServers, streams: readonly string[]): Promise<World> {
  const keys: Keys = {
    streams,
    states: streams.map((stream) => `{${stream}}:rxadd:${sinkId}`),
    marks: streams.map((stream) => `{${stream}}:rxadd:${sinkId}:mark`),
  };
  const nodeOf = new Map<string, RedisServer>();
  for (const [index, stream] of streams.entries()) {
    const owner = await cluster.ownerOf(stream);
    nodeOf.set(stream, owner);
    nodeOf.set(keys.states[index] ?? "", owner);
    nodeOf.set(keys.marks[index] ?? "", owner);
  }
  const clientOf = (key: string): Redis => {
    const node = nodeOf.get(key);
    if (node === undefined) throw new Error(`${key} is on no node`);
    return node.client;
  };
  /** What the replica of each node has. */
  let copies: readonly ReadonlyMap<string, Buffer>[] = [];

  /** Loses something on one node; resolves with what its streams held just before. */
  async function losingOn(node: RedisServer, lose: readonly Command[]): Promise<readonly Content[]> {
    const own = streams.filter((stream) => nodeOf.get(stream) === node);
    const before = await losing(node.client, own, lose);
    return streams.map((stream) => before[own.indexOf(stream)] ?? []);
  }

  async function flush(): Promise<readonly Content[]> {
    const all = await Promise.all(cluster.nodes.map((node) => losingOn(node, [emptied])));
    return streams.map((_, index) => all.flatMap((before) => before[index] ?? []));
  }
  await flush();

  return {
    keys,
    settings: {},
    connect: () => connect(cluster),
    contents: () => Promise.all(streams.map((key) => contentOf(clientOf(key), key))),
    positions: () => Promise.all(keys.states.map((key) => positionOf(clientOf(key), key))),
    astray: async () => undefined,
    ...inRealTime,
    flush,
    restart: flush,
    lag: async () => {
      copies = await Promise.all(cluster.nodes.map(({ client }) => copyOf(client)));
    },
    // Of one node alone: the others keep what they have.
    failover: async (index) => {
      const node = cluster.nodes[index];
      if (node === undefined) throw new Error(`no node ${index}`);
      const before = await losingOn(node, [emptied, ...restored(copies[index] ?? new Map())]);
      await node.client.call("CLIENT", ["KILL", "TYPE", "normal", "SKIPME", "yes"]);
      return before;
    },
    // Another name would be on another node.
    remove: async (key) => {
      const node = nodeOf.get(key);
      return node === undefined ? [] : losingOn(node, [removed(key, "delete")]);
    },
    exhaust: (key, left) => exhaust(clientOf(key), key, left),
    close: async () => {},
  };
}

function connect({ nodes }: ClusterServers): Promise<Line> {
  return lineOver(
    nodes,
    (natMap) =>
      new Cluster(
        nodes.map(({ port }) => ({ host: "127.0.0.1", port })),
        {
          natMap,
          redisOptions: { maxRetriesPerRequest: 0 },
          retryDelayOnFailover: 0,
          clusterRetryStrategy: () => 5,
        },
      ),
  );
}
