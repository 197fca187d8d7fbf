import { afterAll, beforeAll, describe, it } from "vitest";
import { hold } from "./model.ts";
import { happen } from "./writers/happen.ts";
import { startPair } from "./writers/promotedByHand.ts";
import { startWatchedPair } from "./writers/promotedBySentinel.ts";
import { promotionWorld } from "./writers/promotionWorld.ts";
import { histories } from "./writers/step.ts";

const promise = "0 / 0 / 0, no false checkpoint, who is not the owner is told";

for (const { by, start, times } of [
  { by: "hand", start: startPair, times: { short: 15, long: 500 } },
  { by: "Sentinel", start: startWatchedPair, times: { short: 2, long: 200 } },
]) {
  describe(`many writers, a replica that is promoted by ${by}`, () => {
    let servers: Awaited<ReturnType<typeof start>>;
    beforeAll(async () => {
      servers = await start();
    });
    afterAll(() => servers.stop());

    for (const isDurable of [false, true]) {
      const name = isDurable ? "durability" : "script";
      it(`${name}: ${promise}`, { timeout: 1_200_000 }, async (context) => {
        const can = { hold: true, restart: false, failover: true, exhaust: false, lose: false, streams: 1 };
        await hold(context, {
          of: `a replica promoted by ${by}, ${name}`,
          histories: histories(can, ["plain", "transactions", "shared"]),
          times,
          happen: async (history) => (await happen(await promotionWorld(servers, isDurable), history)).events,
          promise,
        });
      });
    }
  });
}
