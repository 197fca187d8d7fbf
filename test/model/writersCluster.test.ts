import { afterAll, beforeAll, describe, it } from "vitest";
import { form } from "../faults/harness/form.ts";
import { type ClusterServers, startCluster } from "../support/clusterServers.ts";
import { hold } from "./model.ts";
import { clusterWorld, streamsOn } from "./writers/clusterWorld.ts";
import { happen } from "./writers/happen.ts";
import { histories } from "./writers/step.ts";

const promise = "0 / 0 / 0, no false checkpoint, who is not the owner is told";

describe("many writers, Cluster", () => {
  let cluster: ClusterServers;
  let streams: readonly string[];
  beforeAll(async () => {
    cluster = await startCluster({ masters: 3 });
    streams = await streamsOn(cluster);
  });
  afterAll(() => cluster.stop());

  // Over several streams not in the short form: one history in some hundred ends with a writer that was not told that it
  // is not the owner (RXADD_SEED=735865), which has yet to be explained.
  for (const count of form === "long" ? [1, 3] : [1]) {
    it(`${count} streams: ${promise}`, { timeout: 1_200_000 }, async (context) => {
      const can = { hold: true, restart: false, failover: true, exhaust: true, lose: false, streams: count };
      await hold(context, {
        of: `Cluster, ${count} streams on as many masters`,
        histories: histories(can, ["plain", "transactions", "shared"]),
        times: { short: 20, long: 500 },
        happen: async (history) =>
          (await happen(await clusterWorld(cluster, streams.slice(0, count)), history)).events,
        promise,
      });
    });
  }
});
