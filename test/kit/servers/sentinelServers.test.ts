import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type SentinelServers, startSentinels } from "./sentinelServers.ts";

/** Kills, elections and replicas that follow take some seconds each. */
const timeout = 120_000;
let bed: SentinelServers;

beforeAll(async () => {
  bed = await startSentinels();
}, timeout);
afterAll(() => bed.stop());

/** Resolves when all replicas have what the master has acknowledged. */
async function replicate() {
  const { client } = await bed.master();
  expect(await client.wait(bed.servers.length - 1, 20_000)).toBe(bed.servers.length - 1);
}

describe("startSentinels", { timeout }, () => {
  it("leads a client to the master by its name", async () => {
    const client = new Redis({
      sentinels: bed.ports.map((port) => ({ host: "127.0.0.1", port })),
      name: bed.name,
    });

    const info = await client.info("server");

    client.disconnect();
    expect(info).toContain(`tcp_port:${(await bed.master()).port}\r\n`);
    expect(bed.uri).toMatch(/^redis-sentinel:\/\/127.0.0.1:\d+,127.0.0.1:\d+,127.0.0.1:\d+\/rxadd$/);
  });

  it("fails over, again and again, and keeps what was written", async () => {
    for (let round = 1; round <= 2; round += 1) {
      const before = await bed.master();
      await before.client.set("round", round);
      await replicate();

      expect(await bed.failover()).toBe(before);

      const after = await bed.master();
      expect(after).not.toBe(before);
      expect(await after.client.get("round")).toBe(`${round}`);
      await expect(before.client.set("round", 0)).rejects.toThrow("READONLY");
    }
  });

  it("puts a replica in the place of a killed master, which comes back as a replica", async () => {
    const killed = await bed.killMaster();
    expect(killed.isRunning()).toBe(false);
    const after = await bed.master();
    await after.client.set("while", "away");

    await bed.restart(killed);

    expect(await bed.master()).toBe(after);
    await replicate();
    expect(await killed.client.get("while")).toBe("away");
  });

  it("puts a replica in the place of a frozen master, which comes back as a replica", async () => {
    const frozen = await bed.freezeMaster();
    expect(frozen.isRunning()).toBe(false);
    const after = await bed.master();
    expect(after).not.toBe(frozen);

    await bed.restart(frozen);

    await expect(frozen.client.set("a", 1)).rejects.toThrow("READONLY");
  });

  it.each(["killMaster", "failover"] as const)(
    "loses with %s what the master acknowledged after its replication was cut",
    async (change) => {
      const { client } = await bed.master();
      await client.set("kept", change);
      await client.set("lost", "before");
      await replicate();

      await bed.cutReplication();
      expect(await client.set("lost", "after")).toBe("OK");
      const old = await bed[change]();

      const after = await bed.master();
      expect(await after.client.mget("kept", "lost")).toEqual([change, "before"]);
      await bed.restart(old);
      await replicate();
      expect(await old.client.get("lost")).toBe("before");
    },
  );

  it("does all this with passwords", async () => {
    const guarded = await startSentinels({
      replicas: 1,
      sentinels: 1,
      password: "p",
      sentinelPassword: "s",
    });
    try {
      const client = new Redis({
        sentinels: guarded.ports.map((port) => ({ host: "127.0.0.1", port })),
        name: guarded.name,
        password: "p",
        sentinelPassword: "s",
      });
      await client.set("a", 1);
      await client.wait(1, 20_000);
      client.disconnect();

      await guarded.killMaster();

      expect(await (await guarded.master()).client.get("a")).toBe("1");
    } finally {
      await guarded.stop();
    }
  });
});
