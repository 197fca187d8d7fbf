import { afterAll, beforeAll, describe, it } from "vitest";
import { startRedis } from "../support/redisServer.ts";
import { hold } from "./model.ts";
import { happen } from "./writers/happen.ts";
import { follow, type Pair, promotionWorld } from "./writers/promotionWorld.ts";
import { histories } from "./writers/step.ts";

const promise = "0 / 0 / 0, no false checkpoint, who is not the owner is told";

describe("many writers, a replica that is promoted", () => {
  let pair: Pair;
  beforeAll(async () => {
    const [master, replica] = await Promise.all(
      [1, 2].map(() => startRedis(["--repl-diskless-sync-delay", "0"])),
    );
    if (master === undefined || replica === undefined) throw new Error("no servers");
    pair = { master, replica };
    await follow(pair);
  });
  afterAll(async () => {
    await pair.replica.stop();
    await pair.master.stop();
  });

  for (const isDurable of [false, true]) {
    const name = isDurable ? "durability" : "script";
    it(`${name}: ${promise}`, { timeout: 1_200_000 }, async (context) => {
      const can = { hold: true, restart: false, failover: true, exhaust: false, lose: false, streams: 1 };
      await hold(context, {
        of: `a promoted replica, ${name}`,
        histories: histories(can, ["plain", "transactions", "shared"]),
        times: { short: 30, long: 300 },
        happen: async (history) => (await happen(await promotionWorld(pair, isDurable), history)).events,
        promise,
      });
    });
  }
});
