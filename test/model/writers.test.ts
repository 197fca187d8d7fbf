import { describe, it } from "vitest";
import { hold } from "./model.ts";
import { redisWithReplica } from "./writers/beds.ts";
import { fakeWorld } from "./writers/fakeWorld.ts";
import { happen } from "./writers/happen.ts";
import { type RealKind, realWorld } from "./writers/realWorld.ts";
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
  const kinds: Readonly<Record<string, RealKind>> = {
    script: { publish: "script", streams: 1 },
    multi: { publish: "multi", streams: 1 },
    "script, computed streams": { publish: "script", streams: 3 },
    "multi, computed streams": { publish: "multi", streams: 3 },
    "script, durability": { publish: "script", streams: 1, isDurable: true },
    "script, the caller's connection": { publish: "script", streams: 1, db: 5 },
    "multi, the caller's connection": { publish: "multi", streams: 1, db: 5 },
    "durability, the caller's connection": { publish: "script", streams: 1, isDurable: true, db: 5 },
  };

  for (const [name, kind] of Object.entries(kinds)) {
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
