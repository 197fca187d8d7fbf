import { describe, it } from "vitest";
import { hold } from "./model.ts";
import { kindsOfRedis, redisWithReplica } from "./writers/beds.ts";
import { fakeWorld } from "./writers/fakeWorld.ts";
import { happen } from "./writers/happen.ts";
import { realWorld } from "./writers/realWorld.ts";
import { type Can, histories } from "./writers/step.ts";

const promise = "0 / 0 / 0, no false checkpoint, who is not the owner is told";
const timeout = 600_000;

describe("many writers, server in memory", () => {
  for (const streams of [1, 3]) {
    it(`${streams} streams: ${promise}`, { timeout }, async (context) => {
      const can: Can = { hold: true, restart: false, failover: false, exhaust: false, lose: true, streams };
      await hold(context, {
        of: `fakeRedis, ${streams} streams`,
        histories: histories(can, ["plain", "transactions", "shared", "unmarked"]),
        times: { short: 300, long: 5000 },
        happen: async (history) => (await happen(fakeWorld(streams, history), history)).events,
        promise,
      });
    });
  }
});

describe("many writers, Redis", () => {
  const server = redisWithReplica();

  for (const [name, kind] of Object.entries(kindsOfRedis)) {
    it(`${name}: ${promise}`, { timeout }, async (context) => {
      const can: Can = {
        hold: true,
        restart: kind.isDurable !== true,
        failover: true,
        exhaust: true,
        lose: false,
        streams: kind.streams,
      };
      await hold(context, {
        of: `Redis, ${name}`,
        histories: histories(can, ["plain", "transactions", "shared"]),
        times: { short: 30, long: 300 },
        happen: async (history) => (await happen(await realWorld(server(), kind), history)).events,
        promise,
      });
    });
  }
});
