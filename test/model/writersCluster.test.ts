import { describe, it } from "vitest";
import { hold } from "./model.ts";
import { threeMasters } from "./writers/beds.ts";
import { clusterWorld } from "./writers/clusterWorld.ts";
import { happen } from "./writers/happen.ts";
import { histories } from "./writers/step.ts";

const promise = "0 / 0 / 0, no false checkpoint, who is not the owner is told";

describe("many writers, Cluster", () => {
  const bed = threeMasters();

  for (const count of [1, 3]) {
    it(`${count} streams: ${promise}`, { timeout: 1_200_000 }, async (context) => {
      const can = { hold: true, restart: false, failover: true, exhaust: true, lose: false, streams: count };
      await hold(context, {
        of: `Cluster, ${count} streams on as many masters`,
        histories: histories(can, ["plain", "transactions", "shared"]),
        times: { short: 12, long: 1000 },
        happen: async (history) => {
          const [cluster, streams] = await bed();
          return (await happen(await clusterWorld(cluster, streams.slice(0, count)), history)).events;
        },
        promise,
      });
    });
  }
});
