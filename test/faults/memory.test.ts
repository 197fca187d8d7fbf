import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { type Fault, fault, faults, type Scene } from "./harness/fault.ts";
import { type OneServer, oneServer } from "./harness/oneServer.ts";
import { handWritten, sinkId, stream } from "./harness/writers.ts";

const state = `{${stream}}:rxadd:${sinkId}`;

async function usedMemory({ server }: OneServer): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await server.client.info("memory"))?.[1]);
}

function limitMemory({ server }: OneServer, bytes: number): Promise<unknown> {
  return server.client.config("SET", "maxmemory", bytes);
}

/** That the last entry is that of which the producer state says that it is the last. */
async function nothingIsHalfWritten({ server: { client } }: OneServer): Promise<void> {
  const [last] = await client.xrevrange(stream, "+", "-", "COUNT", 1);
  expect(JSON.parse(last?.[1][1] ?? "{}").position).toBe(Number(await client.hget(state, "position")));
}

/** Fills the memory up to its limit, holds it there, and frees it. */
async function fillUp({ bed, load }: Scene<OneServer>, holdMs = 0): Promise<void> {
  // Crossed by a batch on its way.
  await limitMemory(bed, (await usedMemory(bed)) + 300_000);
  await load.retrying("OutOfMemory");
  // Redis frees a little by itself, such as buffers of clients: that must not let a batch through.
  await limitMemory(bed, 1);
  await load.retrying("OutOfMemory");
  const before = load.safe();
  await delay(holdMs);
  expect(load.safe(), "checkpoints without memory").toBe(before);
  await nothingIsHalfWritten(bed);
  await limitMemory(bed, 0);
}

/** Others take memory and give it back, many times within a few batches. */
async function toggle({ bed, load, random }: Scene<OneServer>): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) {
    await limitMemory(bed, 1);
    await delay(random.between(1, 10));
    await limitMemory(bed, 0);
    await load.progress(1);
  }
}

const noEviction = ["--maxmemory-policy", "noeviction"];
const toggled: Pick<Fault<OneServer>, "times" | "inject"> = { times: { short: 3, long: 30 }, inject: toggle };

faults("memory", () => {
  for (const publish of ["script", "pipeline"] as const) {
    fault({
      fault: `OOM in the middle of a batch, until there is memory again (${publish})`,
      times: { short: 3, long: 20 },
      bed: () => oneServer(noEviction, { publish }),
      inject: (scene) => fillUp(scene),
    });
  }

  fault({
    fault: "OOM for five seconds",
    times: { short: 1, long: 3 },
    bed: () => oneServer(noEviction),
    inject: (scene) => fillUp(scene, 5000),
  });

  for (const window of [1, 4, 16]) {
    fault({
      fault: `OOM ten times within a few batches of 500, window ${window}`,
      ...toggled,
      bed: () => oneServer(noEviction, { window, batch: { maxEvents: 500 } }),
      perTick: 300,
    });
  }

  fault({
    fault: "OOM ten times within a few batches, control: hand-written ioredis",
    ...toggled,
    bed: () => oneServer(noEviction),
    writer: ({ server }) => handWritten(server.uri),
    promise: {
      text: "duplicates or losses",
      holds: ({ lost, duplicates }) => expect(lost + duplicates).toBeGreaterThan(0),
    },
  });

  fault({
    fault: "the stream evicted (allkeys-lru)",
    times: { short: 1, long: 5 },
    bed: () => oneServer(["--maxmemory-policy", "allkeys-lru"]),
    inject: async ({ bed, load }) => {
      const told = load.status(
        (status) => status.state === "warning" && status.message.includes("was deleted"),
      );
      await limitMemory(bed, (await usedMemory(bed)) + 1_000_000);
      await told;
      await limitMemory(bed, 0);
    },
    promise: {
      text: "told by a warning; what was evicted is gone, the rest is there once and in order",
      holds: ({ duplicates, inversions, entries }, events) => {
        expect({ duplicates, inversions }).toEqual({ duplicates: 0, inversions: 0 });
        expect(entries).toBeLessThan(events);
      },
    },
  });
});
