import { setTimeout as delay } from "node:timers/promises";
import { expect, vi } from "vitest";
import type { RedisServer } from "../kit/servers/redisServer.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";
import { type Fault, fault, faults, type Scene } from "./harness/fault.ts";
import { oneServer } from "./harness/oneServer.ts";
import { type Proxied, proxied } from "./harness/proxied.ts";
import { killConnections } from "./harness/serverView.ts";
import { handWritten, stream } from "./harness/writers.ts";

type OnProxied = Pick<Scene<Proxied>, "bed" | "load" | "random">;
type Kind = Pick<Fault<Proxied>, "fault" | "times" | "inject">;

/** At a byte of a request, or of a reply, that may be any. */
const resetInRequest: Kind = {
  fault: "reset in the middle of a request",
  times: { short: 15, long: 60 },
  inject: ({ bed: { proxy }, random }) => proxy.resetAfter(random.between(0, 60_000), "requests"),
};
const resetInReply: Kind = {
  fault: "reset in the middle of a reply",
  times: { short: 15, long: 60 },
  inject: ({ bed: { proxy, settings }, random }) => {
    // An EXEC answers with each entry's ID, a script with the last one.
    const longest = settings.publish === "multi" ? 4000 : 60;
    return proxy.resetAfter(random.between(0, longest), "replies");
  },
};

/** Redis does what it is told, and nobody hears of it. */
const repliesLost: Kind = {
  fault: "replies lost, then reset: Redis has done what nobody knows of",
  times: { short: 15, long: 60 },
  inject: async ({ bed: { proxy, server }, load, random }) => {
    const isUnheard = async () => (await lastEvent(server)) > load.safe();
    let hasHit = false;
    while (!hasHit) {
      await delay(random.between(0, 10));
      proxy.dropReplies();
      // When this is answered, all that was on its way is there.
      await server.client.ping();
      hasHit = await vi.waitUntil(isUnheard, { timeout: 50, interval: 1 }).catch(() => false);
      await proxy.restore();
      // In a pipeline, it was the answer to WATCH.
      if (!hasHit) await load.progress(1);
    }
  },
};

async function lastEvent({ client }: RedisServer): Promise<number> {
  const [newest] = await client.xrevrange(stream, "+", "-", "COUNT", 1);
  return Number(JSON.parse(newest?.[1][1] ?? "{}").n);
}

const forms = [
  { publish: "script", window: 4 },
  { publish: "script", window: 1 },
  { publish: "multi" },
] as const;

/** The network does something until the sink has noticed, and mends. */
function until(state: "ConnectionLost" | "Unreachable", start: (scene: OnProxied) => unknown) {
  return async (scene: OnProxied) => {
    const told = scene.load.retrying(state);
    await start(scene);
    await told;
    await scene.bed.proxy.restore();
  };
}

const control = {
  bed: () => proxied(),
  writer: ({ proxy }: Proxied) => handWritten(proxy.uri),
  isControl: true,
  promise: {
    text: "duplicates",
    holds: ({ duplicates }) => expect(duplicates).toBeGreaterThan(0),
  },
} satisfies Partial<Fault<Proxied>>;

faults("connection", () => {
  for (const settings of forms) {
    const form = Object.values(settings).join(", window ");
    fault({
      fault: `killed by the server (${form})`,
      times: { short: 40, long: 100 },
      bed: () => oneServer([], settings),
      inject: ({ bed }) => killConnections(bed.server),
    });
    for (const kind of [resetInRequest, resetInReply, repliesLost]) {
      fault({ ...kind, fault: `${kind.fault} (${form})`, bed: () => proxied(settings) });
    }
  }

  fault({
    fault: "all connections reset at once",
    times: { short: 20, long: 100 },
    bed: () => proxied(),
    inject: async ({ bed: { proxy } }) => {
      await waitUntil(() => proxy.reset() > 0, 5);
    },
  });

  fault({
    fault: "replies lost until sendTimeoutMs",
    times: { short: 4, long: 30 },
    bed: () => proxied(),
    inject: until("ConnectionLost", ({ bed: { proxy } }) => proxy.dropReplies()),
  });

  fault({
    fault: "partition: nothing comes through, nothing is closed",
    times: { short: 4, long: 30 },
    bed: () => proxied(),
    inject: until("ConnectionLost", ({ bed: { proxy } }) => proxy.blackHole()),
  });

  fault({
    fault: "partition that lasts for several attempts",
    times: { short: 1, long: 8 },
    bed: () => proxied(),
    inject: until("ConnectionLost", async ({ bed: { proxy }, load }) => {
      proxy.blackHole();
      for (let attempt = 0; attempt < 3; attempt += 1) await load.status(({ state }) => state === "retrying");
    }),
  });

  fault({
    fault: "refused",
    times: { short: 4, long: 30 },
    bed: () => proxied(),
    inject: until("Unreachable", ({ bed: { proxy } }) => proxy.refuse()),
  });

  fault({
    fault: "slow: each way takes 20 ms longer",
    times: { short: 3, long: 20 },
    bed: () => proxied({ sendTimeoutMs: 2000 }),
    inject: async ({ bed: { proxy }, load }) => {
      proxy.delay(20);
      await load.progress(10);
      proxy.delay(0);
    },
  });

  fault({
    fault: "slower than sendTimeoutMs",
    times: { short: 3, long: 20 },
    bed: () => proxied(),
    inject: until("ConnectionLost", ({ bed: { proxy } }) => proxy.delay(300)),
  });

  fault({
    fault: "killed by the server, control: hand-written ioredis",
    times: { short: 40, long: 60 },
    inject: ({ bed }) => killConnections(bed.server),
    ...control,
  });

  for (const kind of [resetInReply, repliesLost, { ...resetInRequest, times: { short: 40, long: 60 } }]) {
    fault({ ...kind, fault: `${kind.fault}, control: hand-written ioredis`, ...control });
  }
});
