import { Cluster } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ClusterServers, startCluster } from "./clusterServers.ts";
import type { RedisServer } from "./redisServer.ts";

/** Kills and elections take some seconds each. */
const timeout = 120_000;

/** A master that is not this one. */
async function otherThan(bed: ClusterServers, owner: RedisServer): Promise<RedisServer> {
  for (const key of ["a", "b", "c", "d", "e", "f"]) {
    const other = await bed.ownerOf(key);
    if (other !== owner) return other;
  }
  throw new Error("one master owns all");
}

describe("startCluster with replicas", { timeout }, () => {
  let bed: ClusterServers;
  beforeAll(async () => {
    bed = await startCluster({ replicasPerMaster: 1 });
  }, timeout);
  afterAll(() => bed.stop());

  it("leads a client to all slots", async () => {
    const [, first, second] = /^redis-cluster:\/\/127.0.0.1:(\d+),127.0.0.1:(\d+)/.exec(bed.uri) ?? [];
    const client = new Cluster([first, second].map((port) => ({ host: "127.0.0.1", port: Number(port) })));
    const keys = Array.from({ length: 50 }, (_, n) => `key${n}`);

    for (const key of keys) await client.set(key, key);

    client.disconnect();
    const owners = new Set<RedisServer>();
    for (const key of keys) {
      const owner = await bed.ownerOf(key);
      owners.add(owner);
      expect(await owner.client.get(key)).toBe(key);
    }
    expect(owners.size).toBe(3);
  });

  it("lets a master and its replica change places, again and again, with nothing lost", async () => {
    for (let round = 1; round <= 3; round += 1) {
      const before = await bed.ownerOf("round");
      await before.client.set("round", round);

      const after = await bed.failover(before);

      expect(after).not.toBe(before);
      expect(await bed.ownerOf("round")).toBe(after);
      expect(await bed.replicaOf(after)).toBe(before);
      expect(await after.client.get("round")).toBe(`${round}`);
    }
  });

  it.each(["killMaster", "freezeMaster"] as const)(
    "gives the slots to the replica after %s, and brings the master back as its replica",
    async (take) => {
      const before = await bed.ownerOf("a");

      expect(await bed[take]("a")).toBe(before);

      const after = await bed.ownerOf("a");
      expect(after).not.toBe(before);
      await after.client.set("a", take);
      await bed.restart(before);
      expect(await bed.ownerOf("a")).toBe(after);
      expect(await bed.replicaOf(after)).toBe(before);
    },
  );

  it("moves a slot while somebody stands between its keys", async () => {
    const from = await bed.ownerOf("{s}");
    const to = await otherThan(bed, from);
    await from.client.xadd("{s}", "*", "event", "1");
    await from.client.hset("{s}:state", "sequence", 1);
    const both = "return redis.call('EXISTS', KEYS[1], KEYS[2])";
    const moved: string[] = [];

    await bed.migrateSlot("{s}", to, {
      betweenKeys: async (key) => {
        moved.push(key);
        if (moved.length > 1) return;
        await expect(from.client.xlen("{s}")).rejects.toThrow("ASK");
        await expect(from.client.eval(both, 2, "{s}", "{s}:state")).rejects.toThrow("TRYAGAIN");
        expect(await from.client.hget("{s}:state", "sequence")).toBe("1");
      },
    });

    expect(moved).toEqual(["{s}", "{s}:state"]);
    expect(await bed.ownerOf("{s}")).toBe(to);
    expect(await to.client.eval(both, 2, "{s}", "{s}:state")).toBe(2);
    await expect(from.client.xlen("{s}")).rejects.toThrow("MOVED");
  });

  it("moves a stream of 100,000 entries in one piece", async () => {
    const from = await bed.ownerOf("{big}");
    const to = await otherThan(bed, from);
    const fill = "for i = 1, 1000 do redis.call('XADD', KEYS[1], '*', 'event', ARGV[1]) end";
    for (let round = 0; round < 100; round += 1) await from.client.eval(fill, 1, "{big}", "x".repeat(220));

    await bed.migrateSlot("{big}", to);

    expect(await to.client.xlen("{big}")).toBe(100_000);
  });
});

describe("startCluster without replicas", { timeout }, () => {
  let bed: ClusterServers;
  beforeAll(async () => {
    bed = await startCluster({ args: ["--appendonly", "yes"] });
  }, timeout);
  afterAll(() => bed.stop());

  it("is down while a master is away, and goes on when it is back", async () => {
    const owner = await bed.ownerOf("a");
    await owner.client.set("a", 1);
    const other = await otherThan(bed, owner);

    expect(await bed.killMaster("a")).toBe(owner);

    await expect(other.client.get("a")).rejects.toThrow("CLUSTERDOWN");
    await bed.restart(owner);
    expect(await bed.ownerOf("a")).toBe(owner);
    expect(await owner.client.get("a")).toBe("1");
  });
});
