import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import {
  type ConsumerOrder,
  type ConsumerProcess,
  type Item,
  startConsumers,
} from "./harness/consumerProcess.ts";
import { form, seed } from "./harness/form.ts";
import { addEntries, entriesLeft } from "./harness/groupEntries.ts";
import { type Random, randomOf } from "./harness/random.ts";
import { recordRow } from "./harness/row.ts";

const stream = "orders.events";
const group = "mailer";
const isLong = form === "long";
const entries = isLong ? 100_000 : 20_000;
/** 10 consumers in 3 processes. */
const crews = [4, 3, 3].map((size, crew) => Array.from({ length: size }, (_, n) => `${crew}.${n}`));

interface ConsumerFault {
  readonly fault: string;
  readonly way: ConsumerOrder["way"];
  readonly times: { readonly short: number; readonly long: number };
  /** Each so many entries the event is one that was there before. */
  readonly repeatEvery?: number;
  /** Default: as many as all others. */
  readonly entries?: number;
  readonly inject: (scene: {
    readonly processes: readonly ConsumerProcess[];
    readonly redis: RedisServer;
    readonly random: Random;
  }) => Promise<void>;
  readonly promise: string;
  /** Looks at how many effects were written more than once. */
  readonly holds: (twice: number) => void;
}

const exactly: Pick<ConsumerFault, "promise" | "holds"> = {
  promise: "every entry handled, none acknowledged unhandled, none stuck, each effect once",
  holds: (twice) => expect(twice).toBe(0),
};

/** The number of the event in an entry; each `repeatEvery` entries it is that of the one before. */
function eventOf(entry: number, repeatEvery: number): number {
  return entry - Math.floor((entry + 1) / repeatEvery);
}

/** The event of an entry. */
function itemOf(entry: number, repeatEvery: number): Item {
  const n = eventOf(entry, repeatEvery);
  return { id: `orders/${n}`, n };
}

function consumerFault({
  fault,
  way,
  times,
  repeatEvery = Number.POSITIVE_INFINITY,
  entries: count = entries,
  inject,
  promise,
  holds,
}: ConsumerFault): void {
  it(`${fault}: ${promise}`, { timeout: isLong ? 600_000 : 120_000 }, async ({ task, onTestFailed }) => {
    onTestFailed(() => console.error(`to run this schedule again: RXADD_SEED=${seed}`));
    const random = randomOf(seed);
    const redis = await startRedis(["--appendonly", "yes", "--appendfsync", "always"]);
    const processes: ConsumerProcess[] = [];
    try {
      const events = eventOf(count - 1, repeatEvery) + 1;
      await redis.client.xgroup("CREATE", stream, group, "0", "MKSTREAM");
      for (const consumers of crews) {
        processes.push(
          await startConsumers({ uri: redis.uri, stream, group, consumers, way, claimIdleMs: 1000 }),
        );
      }
      const injections = times[form];
      for (let index = 0; index < injections; index += 1) {
        const share = (part: number) => Math.round((count * part) / injections);
        await addEntries(redis.client, stream, share(index), share(index + 1), (entry) =>
          itemOf(entry, repeatEvery),
        );
        await inject({ processes, redis, random });
      }
      while ((await entriesLeft(redis.client, stream)) > 0) {
        for (const { check } of processes) check();
        await delay(20);
      }

      const handled = await redis.client.bitcount("handled");
      const effects = await redis.client.hvals("effects");
      const twice = effects.reduce((sum, times) => sum + Number(times) - 1, 0);
      recordRow(task, {
        fault,
        times: injections,
        events: count,
        lost: events - Math.min(handled, effects.length),
        duplicates: twice,
        inversions: 0,
        promise,
      });
      expect(handled, "events handled").toBe(events);
      expect(effects.length, "events with an effect").toBe(events);
      holds(twice);
    } finally {
      for (const { kill } of processes) await kill();
      await redis.stop();
    }
  });
}

/** One of the processes, whatever it is doing. */
async function killOne({ processes, random }: Parameters<ConsumerFault["inject"]>[0]): Promise<void> {
  const [first, ...others] = processes;
  if (first === undefined) return;
  const { kill, start } = random.oneOf(first, ...others);
  await delay(random.between(0, 300));
  await kill();
  await start();
}

describe("consumer", () => {
  consumerFault({
    fault: "10 consumers in 3 processes, ended by SIGKILL at random",
    way: "acknowledge",
    entries: isLong ? 500_000 : 20_000,
    times: { short: 5, long: 25 },
    inject: killOne,
    ...exactly,
  });

  consumerFault({
    fault: "10 consumers that deduplicate, every fifth event a repeated one, ended by SIGKILL",
    way: "deduplicate",
    repeatEvery: 5,
    entries: isLong ? 250_000 : 20_000,
    times: { short: 5, long: 25 },
    inject: killOne,
    ...exactly,
  });

  consumerFault({
    fault: "a process of consumers frozen for longer than claimIdleMs, and awake again",
    way: "acknowledge",
    times: { short: 1, long: 10 },
    inject: async ({ processes, random }) => {
      const [first, ...others] = processes;
      if (first === undefined) return;
      const { signal } = random.oneOf(first, ...others);
      signal("SIGSTOP");
      await delay(2500);
      signal("SIGCONT");
    },
    ...exactly,
  });

  consumerFault({
    fault: "Redis killed and started again, AOF always, under 10 consumers",
    way: "acknowledge",
    times: { short: 2, long: 15 },
    inject: async ({ redis, random }) => {
      await delay(random.between(0, 300));
      await redis.signal("SIGKILL");
      await redis.start();
    },
    ...exactly,
  });

  consumerFault({
    fault: "all connections of 10 consumers killed by CLIENT KILL",
    way: "deduplicate",
    repeatEvery: 7,
    times: { short: 10, long: 100 },
    inject: async ({ redis }) => {
      await redis.client.call("CLIENT", ["KILL", "TYPE", "normal", "SKIPME", "yes"]);
    },
    ...exactly,
  });

  consumerFault({
    fault: "control: hand-written consumers (effect, then XACK), ended by SIGKILL",
    way: "byHand",
    times: { short: 6, long: 20 },
    // One by one: each takes three answers of a Redis that syncs before each of them.
    entries: isLong ? 40_000 : 8000,
    inject: killOne,
    promise: "at least once: effects are doubled",
    holds: (twice) => expect(twice).toBeGreaterThan(0),
  });
});
