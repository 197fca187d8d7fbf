import { describe, it } from "vitest";
import { hold } from "./model.ts";
import { happenAmongMany } from "./writers/amongMany.ts";
import { kindsOfRedis, redisWithReplica, threeMasters } from "./writers/beds.ts";
import { clusterWorld } from "./writers/clusterWorld.ts";
import { fakeWorld } from "./writers/fakeWorld.ts";
import { realWorld } from "./writers/realWorld.ts";
import { type Can, histories } from "./writers/step.ts";

const promise = "none ends, each event once and in order, but for what they were told is lost";
const timeout = 600_000;

describe("many writers without positions, server in memory", () => {
  for (const streams of [1, 3]) {
    it(`${streams} streams: ${promise}`, { timeout }, async (context) => {
      const can: Can = { hold: true, restart: false, failover: false, exhaust: false, lose: true, streams };
      await hold(context, {
        of: `fakeRedis, no positions, ${streams} streams`,
        histories: histories(can, ["plain"]),
        times: { short: 300, long: 5000 },
        happen: async (history) => (await happenAmongMany(fakeWorld(streams, history), history)).events,
        promise,
      });
    });
  }
});

describe("many writers without positions, Redis", () => {
  const server = redisWithReplica();

  for (const [name, kind] of Object.entries(kindsOfRedis)) {
    it(`${name}: ${promise}`, { timeout }, async (context) => {
      const { streams, isDurable } = kind;
      const can: Can = {
        ...{ hold: true, failover: true, exhaust: false, lose: false, streams },
        restart: isDurable !== true,
      };
      await hold(context, {
        of: `Redis, no positions, ${name}`,
        histories: histories(can, ["plain"]),
        times: { short: 30, long: 300 },
        happen: async (history) => (await happenAmongMany(await realWorld(server(), kind), history)).events,
        promise,
      });
    });
  }
});

describe("many writers without positions, Cluster", () => {
  const bed = threeMasters();

  for (const count of [1, 3]) {
    it(`${count} streams: ${promise}`, { timeout: 1_200_000 }, async (context) => {
      const can = { hold: true, restart: false, failover: true, exhaust: false, lose: false, streams: count };
      await hold(context, {
        of: `Cluster, no positions, ${count} streams`,
        histories: histories(can, ["plain"]),
        times: { short: 12, long: 1000 },
        happen: async (history) => {
          const [cluster, streams] = await bed();
          return (await happenAmongMany(await clusterWorld(cluster, streams.slice(0, count)), history))
            .events;
        },
        promise,
      });
    });
  }
});
