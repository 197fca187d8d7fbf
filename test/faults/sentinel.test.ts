import { expect } from "vitest";
import type { SinkOptions, SinkStatus } from "../../src/index.ts";
import type { Numbered } from "../kit/load/pacedNumbers.ts";
import { type SentinelServers, startSentinels } from "../kit/servers/sentinelServers.ts";
import { type Bed, exactlyOnce, fault, faults, type Scene } from "./harness/fault.ts";

/** A bed of a master, two replicas and three Sentinels. */
interface Watched extends Bed {
  readonly sentinels: SentinelServers;
}

async function watched(settings: Partial<SinkOptions<Numbered, number>> = {}): Promise<Watched> {
  const sentinels = await startSentinels();
  return {
    sentinels,
    settings: { uri: sentinels.uri, sendTimeoutMs: 500, connectTimeoutMs: 500, ...settings },
    reader: async () => (await sentinels.master()).client,
    stop: sentinels.stop,
  };
}

type OnWatched = Pick<Scene<Watched>, "bed" | "load">;

/** Cuts the replicas off, lets the master acknowledge more, and kills it: that is lost. */
async function loseAcknowledged({ bed: { sentinels }, load }: OnWatched): Promise<void> {
  await sentinels.cutReplication();
  await load.progress(50);
  const goneBack = load.status(({ state }) => state === "rewound");
  const killed = await sentinels.killMaster();
  await goneBack;
  await sentinels.restart(killed);
}

/** Up to where Redis still has everything. */
function positionOf(status: SinkStatus): unknown {
  return status.state === "rewound" && status.cause._tag === "RewindRequired"
    ? status.cause.details.position
    : undefined;
}

faults("Sentinel", () => {
  fault({
    fault: "master killed, writes in flight",
    times: { short: 1, long: 6 },
    bed: () => watched(),
    inject: async ({ bed: { sentinels } }) => sentinels.restart(await sentinels.killMaster()),
  });

  fault({
    fault: "master frozen, and awake again as a replica",
    times: { short: 1, long: 6 },
    bed: () => watched(),
    inject: async ({ bed: { sentinels } }) => {
      const frozen = await sentinels.freezeMaster();
      await frozen.signal("SIGCONT");
      await sentinels.settled();
    },
  });

  fault({
    fault: "planned failover (SENTINEL FAILOVER)",
    times: { short: 1, long: 8 },
    bed: () => watched(),
    inject: async ({ bed: { sentinels } }) => {
      await sentinels.failover();
    },
  });

  fault({
    fault: "failover that loses acknowledged writes",
    times: { short: 1, long: 6 },
    bed: () => watched(),
    inject: loseAcknowledged,
    promise: { ...exactlyOnce, text: "0 / 0 / 0: the loss is noticed, the source goes back by itself" },
  });

  fault({
    fault: "failover that loses what no replica has, with durability: { replicas: 1 }",
    times: { short: 1, long: 5 },
    bed: () => watched({ durability: { replicas: 1, timeoutMs: 200 } }),
    promise: { ...exactlyOnce, text: "0 / 0 / 0, and no checkpoint has covered what was lost" },
    inject: async ({ bed: { sentinels }, load }) => {
      const held = load.retrying("NotEnoughReplicas");
      await sentinels.cutReplication();
      await held;
      const covered = load.safe();
      const goneBack = load.status(({ state }) => state === "rewound");
      const killed = await sentinels.killMaster();
      expect(positionOf(await goneBack), "what is left").toBeGreaterThanOrEqual(covered);
      await load.progress(1);
      await sentinels.restart(killed);
    },
  });

  fault({
    fault: "one Sentinel after the other killed and restarted",
    times: { short: 3, long: 12 },
    bed: () => watched(),
    inject: async ({ bed: { sentinels }, load, index }) => {
      const sentinel = sentinels.sentinels[index % sentinels.sentinels.length];
      await sentinel?.signal("SIGKILL");
      await load.progress(10);
      await sentinel?.start();
      await sentinels.settled();
    },
  });
});
