import { setTimeout as delay } from "node:timers/promises";
import { map } from "rxjs";
import { redisSink, replicate, type SinkOptions, type Source } from "../../src/index.ts";
import type { Numbered } from "../kit/load/pacedNumbers.ts";
import { readEvents, type Tally, tally } from "../kit/load/tally.ts";
import {
  type ClusterServers,
  type ClusterSettings,
  type Migration,
  startCluster,
} from "../kit/servers/clusterServers.ts";
import { type Bed, fault, faults, type Scene } from "./harness/fault.ts";
import type { Writer } from "./harness/load.ts";
import { durable } from "./harness/oneServer.ts";
import { sinkId, stream } from "./harness/writers.ts";

/** A bed of a Redis Cluster. */
interface Clustered extends Bed {
  readonly cluster: ClusterServers;
}

async function clustered(
  servers: ClusterSettings,
  settings: Partial<Omit<SinkOptions<Numbered, number>, "uri" | "connection">> = {},
): Promise<Clustered> {
  const cluster = await startCluster(servers);
  return {
    cluster,
    settings: { uri: cluster.uri, sendTimeoutMs: 500, connectTimeoutMs: 500, ...settings },
    reader: async () => (await cluster.ownerOf(stream)).client,
    stop: cluster.stop,
  };
}

const withReplicas = { masters: 3, replicasPerMaster: 1 } as const;

type OnClustered = Pick<Scene<Clustered>, "bed" | "load">;

/** Moves the stream's slot to another master. */
async function migrate({ bed: { cluster } }: OnClustered, migration: Migration = {}): Promise<void> {
  const owner = await cluster.ownerOf(stream);
  const other = cluster.nodes.find((node) => node !== owner);
  if (other === undefined) throw new Error("a cluster of one node");
  await cluster.migrateSlot(stream, other, migration);
}

/** A key that another master than the stream's has. */
async function keyOfAnother(cluster: ClusterServers): Promise<string> {
  const owner = await cluster.ownerOf(stream);
  for (let n = 0; ; n += 1) if ((await cluster.ownerOf(`key-${n}`)) !== owner) return `key-${n}`;
}

/** Partitions, or a template, over all masters. */
const overAll = {
  partitions: { stream: "orders", partitions: 16, key: ({ n }: Numbered) => `${n % 97}` },
  template: { stream: ({ n }: Numbered) => `orders:{${n % 16}}` },
  /** Two lanes at a time, and twelve in mind. */
  "more streams than it keeps in mind": {
    buffer: { maxEvents: 24 },
    batch: { maxEvents: 3 },
    stream: ({ n }: Numbered) => `orders:{${n % 16}}`,
  },
} as const;

/** The streams of either. */
const streamsOverAll = Array.from({ length: 16 }, (_, index) => `orders:{${index}}`);

/** What all streams hold together; inversions within each. */
async function tallyAll({ cluster }: Clustered, events: number): Promise<Tally> {
  const found: number[] = [];
  let inversions = 0;
  for (const key of streamsOverAll) {
    const texts = await readEvents((await cluster.ownerOf(key)).client, key);
    const numbers = texts.map((text) => Number(JSON.parse(text).n));
    inversions += tally(numbers, 0).inversions;
    found.push(...numbers);
  }
  return { ...tally(found, events), inversions };
}

/** Writes from a source that goes on where it was told that all is safe, unless it is told where. */
function fromMark({ settings }: Clustered): Writer {
  let mark = 0;
  return (source, status) => {
    const sink = redisSink<Numbered, number>({ id: sinkId, status, ...settings } as SinkOptions<
      Numbered,
      number
    >);
    const marked: Source<Numbered, number> = (at, flow) => source(at ?? mark, flow);
    const acknowledge = (position: number) => {
      mark = position;
    };
    return replicate({ source: Object.assign(marked, { acknowledge }), sink }).pipe(
      map(({ position }) => position ?? 0),
    );
  };
}

/** Writes from a source that forgets what it was told is safe, and says so when it is asked for it. */
function fromForgetful({ settings }: Clustered): Writer {
  let mark = 0;
  return (source, status) => {
    const sink = redisSink<Numbered, number>({ id: sinkId, status, ...settings } as SinkOptions<
      Numbered,
      number
    >);
    const forgetful: Source<Numbered, number> = (at, flow) => {
      const from = at ?? 0;
      if (from < mark) throw new Error(`opened at ${from}, and ${mark} is forgotten`);
      return source(from, flow);
    };
    const acknowledge = (position: number) => {
      mark = position;
    };
    return replicate({ source: Object.assign(forgetful, { acknowledge }), sink }).pipe(
      map(({ position }) => position ?? 0),
    );
  };
}

/** Kills masters in turn, with what they have acknowledged and their replicas lack: first that of the sink's own position. */
async function loseNewest(
  { bed: { cluster }, load, index }: OnClustered & Pick<Scene<Clustered>, "index">,
  then = () => {},
): Promise<void> {
  const own = await cluster.ownerOf(`rxadd:${sinkId}`);
  const owners = await Promise.all(streamsOverAll.map(cluster.ownerOf));
  const key = streamsOverAll.find((_, at) => (owners[at] === own) === (index % 2 === 0)) ?? "";
  const killed = await cluster.killMasterAhead(key, async () => {
    await load.progress(3);
    then();
  });
  await cluster.restart(killed);
}

faults("Cluster", () => {
  fault({
    fault: "the slot migrated to another master and back (MOVED, ASK)",
    times: { short: 4, long: 30 },
    bed: () => clustered({ masters: 2 }),
    inject: (scene) => migrate(scene),
  });

  fault({
    fault: "the slot stuck in mid-migration, stream and state on different masters (TRYAGAIN)",
    times: { short: 1, long: 6 },
    bed: () => clustered({ masters: 2 }),
    inject: (scene) =>
      migrate(scene, {
        betweenKeys: (key) => Promise.resolve(key === stream && scene.load.retrying("SlotMoving")),
      }),
  });

  fault({
    fault: "the slot a moment in mid-migration",
    times: { short: 3, long: 20 },
    bed: () => clustered({ masters: 2 }),
    inject: (scene) => migrate(scene, { betweenKeys: () => delay(scene.random.between(5, 150)) }),
  });

  fault({
    fault: "master killed, its replica takes over",
    times: { short: 1, long: 6 },
    bed: () => clustered(withReplicas),
    inject: async ({ bed: { cluster } }) => cluster.restart(await cluster.killMaster(stream)),
  });

  fault({
    fault: "master frozen, its replica takes over",
    times: { short: 1, long: 6 },
    bed: () => clustered(withReplicas),
    inject: async ({ bed: { cluster } }) => cluster.restart(await cluster.freezeMaster(stream)),
  });

  fault({
    fault: "planned failover (CLUSTER FAILOVER)",
    times: { short: 2, long: 10 },
    bed: () => clustered(withReplicas),
    inject: async ({ bed: { cluster } }) => {
      await cluster.failover(await cluster.ownerOf(stream));
    },
  });

  fault({
    fault: "master killed, its replica takes over, with durability: { replicas: 1 }",
    times: { short: 1, long: 5 },
    bed: () => clustered(withReplicas, { durability: { replicas: 1, timeoutMs: 200 } }),
    inject: async ({ bed: { cluster } }) => cluster.restart(await cluster.killMaster(stream)),
  });

  fault({
    fault: "master of other slots killed, nobody takes over, so all is down",
    times: { short: 1, long: 5 },
    bed: () => clustered({ masters: 3, args: durable }),
    inject: async ({ bed: { cluster }, load }) => {
      const told = load.retrying("Unreachable");
      const killed = await cluster.killMaster(await keyOfAnother(cluster));
      await told;
      await cluster.restart(killed);
    },
  });

  fault({
    fault: "the slot served by nobody (CLUSTERDOWN)",
    times: { short: 1, long: 8 },
    bed: () => clustered({ masters: 2 }),
    inject: async ({ bed: { cluster }, load }) => {
      const { client } = await cluster.ownerOf(stream);
      const slot = await client.call("CLUSTER", "KEYSLOT", stream);
      const told = load.retrying("ClusterDown");
      await client.call("CLUSTER", "DELSLOTS", `${slot}`);
      await told;
      await client.call("CLUSTER", "ADDSLOTS", `${slot}`);
      await cluster.settled();
    },
  });

  for (const kind of ["partitions", "template", "more streams than it keeps in mind"] as const) {
    fault({
      fault: `master killed with writes that its replica lacks, over ${kind}, source with a mark of its own`,
      times: { short: 2, long: 6 },
      bed: () => clustered(withReplicas, overAll[kind]),
      writer: fromMark,
      count: tallyAll,
      inject: (scene) => loseNewest(scene),
    });
  }

  fault({
    fault:
      "writer and master killed together with writes that the replica lacks, source with a mark of its own",
    times: { short: 2, long: 6 },
    bed: () => clustered(withReplicas, overAll.partitions),
    writer: fromMark,
    count: tallyAll,
    inject: async (scene) => {
      await loseNewest(scene, scene.load.crash);
      scene.load.start();
    },
  });

  fault({
    fault: "master killed, over partitions, source that forgets, with durability: { replicas: 1 }",
    times: { short: 2, long: 6 },
    bed: () =>
      clustered(withReplicas, { ...overAll.partitions, durability: { replicas: 1, timeoutMs: 200 } }),
    writer: fromForgetful,
    count: tallyAll,
    inject: async ({ bed: { cluster }, load, index }) => {
      const killed = await cluster.killMaster(index === 0 ? `rxadd:${sinkId}` : "orders:{3}");
      await cluster.restart(killed);
      if (index === 0) load.crash();
      if (index === 0) load.start();
    },
  });
});
