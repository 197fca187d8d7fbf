import { Redis } from "ioredis";
import { startSentinels } from "../../kit/servers/sentinelServers.ts";
import { lineOver } from "./lineOver.ts";
import type { Replicated } from "./promotionWorld.ts";

/** A master and its replica, which Sentinels put in its place. */
export async function startWatchedPair(): Promise<Replicated & { readonly stop: () => Promise<unknown> }> {
  // A history may take some seconds from the replica's last look at its master to its promotion.
  const sentinels = await startSentinels({ replicas: 1, downAfterMs: 2000 });
  let master = await sentinels.master();
  return {
    master: () => master,
    cutReplication: sentinels.cutReplication,
    promote: async () => {
      await sentinels.failover();
      master = await sentinels.master();
    },
    connect: () =>
      lineOver(
        sentinels.servers,
        (natMap) =>
          new Redis({
            sentinels: sentinels.ports.map((port) => ({ host: "127.0.0.1", port })),
            name: sentinels.name,
            natMap,
            maxRetriesPerRequest: 0,
            retryStrategy: () => 5,
            sentinelRetryStrategy: () => 5,
          }),
      ),
    stop: sentinels.stop,
  };
}
