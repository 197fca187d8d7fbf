import { setTimeout as delay } from "node:timers/promises";
import type { ClusterServers, Migration } from "../kit/servers/clusterServers.ts";
import { clustered, type OnClustered, withReplicas } from "./harness/clustered.ts";
import { fault, faults } from "./harness/fault.ts";
import { durable } from "./harness/oneServer.ts";
import { stream } from "./harness/writers.ts";

/** Moves the stream's slot to another master. */
async function migrate({ bed: { cluster } }: OnClustered, migration: Migration = {}): Promise<void> {
  const owner = await cluster.ownerOf(stream);
  const other = cluster.nodes.find((node) => node !== owner);
  if (other === undefined) throw new Error("a cluster of one node");
  await cluster.migrateSlot(stream, other, migration);
}

/** A key that another master than the stream's has. */
async function keyOfAnother(cluster: ClusterServers): Promise<string> {
  const owner = await cluster.ownerOf(stream);
  for (let n = 0; ; n += 1) if ((await cluster.ownerOf(`key-${n}`)) !== owner) return `key-${n}`;
}

faults("Cluster", () => {
  fault({
    fault: "the slot migrated to another master and back (MOVED, ASK)",
    times: { short: 4, long: 30 },
    bed: () => clustered({ masters: 2 }),
    inject: (scene) => migrate(scene),
  });

  fault({
    fault: "the slot stuck in mid-migration, stream and state on different masters (TRYAGAIN)",
    times: { short: 1, long: 6 },
    bed: () => clustered({ masters: 2 }),
    inject: (scene) =>
      migrate(scene, {
        betweenKeys: (key) => Promise.resolve(key === stream && scene.load.retrying("SlotMoving")),
      }),
  });

  fault({
    fault: "the slot a moment in mid-migration",
    times: { short: 3, long: 20 },
    bed: () => clustered({ masters: 2 }),
    inject: (scene) => migrate(scene, { betweenKeys: () => delay(scene.random.between(5, 150)) }),
  });

  fault({
    fault: "master killed, its replica takes over",
    times: { short: 1, long: 6 },
    bed: () => clustered(withReplicas),
    inject: async ({ bed: { cluster } }) => cluster.restart(await cluster.killMaster(stream)),
  });

  fault({
    fault: "master frozen, its replica takes over",
    times: { short: 1, long: 6 },
    bed: () => clustered(withReplicas),
    inject: async ({ bed: { cluster } }) => cluster.restart(await cluster.freezeMaster(stream)),
  });

  fault({
    fault: "planned failover (CLUSTER FAILOVER)",
    times: { short: 2, long: 10 },
    bed: () => clustered(withReplicas),
    inject: async ({ bed: { cluster } }) => {
      await cluster.failover(await cluster.ownerOf(stream));
    },
  });

  fault({
    fault: "master killed, its replica takes over, with durability: { replicas: 1 }",
    times: { short: 1, long: 5 },
    bed: () => clustered(withReplicas, { durability: { replicas: 1, timeoutMs: 200 } }),
    inject: async ({ bed: { cluster } }) => cluster.restart(await cluster.killMaster(stream)),
  });

  fault({
    fault: "master of other slots killed, nobody takes over, so all is down",
    times: { short: 1, long: 5 },
    bed: () => clustered({ masters: 3, args: durable }),
    inject: async ({ bed: { cluster }, load }) => {
      const told = load.retrying("Unreachable");
      const killed = await cluster.killMaster(await keyOfAnother(cluster));
      await told;
      await cluster.restart(killed);
    },
  });

  fault({
    fault: "the slot served by nobody (CLUSTERDOWN)",
    times: { short: 1, long: 8 },
    bed: () => clustered({ masters: 2 }),
    inject: async ({ bed: { cluster }, load }) => {
      const { client } = await cluster.ownerOf(stream);
      const slot = await client.call("CLUSTER", "KEYSLOT", stream);
      const told = load.retrying("ClusterDown");
      await client.call("CLUSTER", "DELSLOTS", `${slot}`);
      await told;
      await client.call("CLUSTER", "ADDSLOTS", `${slot}`);
      await cluster.settled();
    },
  });
});
