import { map } from "rxjs";
import { redisSink, replicate, type SinkOptions, type Source } from "../../src/index.ts";
import type { Numbered } from "../kit/load/pacedNumbers.ts";
import { readEvents, type Tally, tally } from "../kit/load/tally.ts";
import { type Clustered, clustered, type OnClustered, withReplicas } from "./harness/clustered.ts";
import { fault, faults, type Scene } from "./harness/fault.ts";
import type { Writer } from "./harness/load.ts";
import { sinkId } from "./harness/writers.ts";

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

/**
 * Writes from a source that keeps a mark of its own: it goes on where it was told that all is safe, unless it is told where.
 * One that forgets what is safe says so when it is asked for it.
 */
function marked(forgets: boolean): (bed: Clustered) => Writer {
  return ({ settings }) => {
    let mark = 0;
    return (source, status) => {
      const sink = redisSink<Numbered, number>({ id: sinkId, status, ...settings } as SinkOptions<
        Numbered,
        number
      >);
      const reading: Source<Numbered, number> = (at, flow) => {
        const from = at ?? (forgets ? 0 : mark);
        if (forgets && from < mark) throw new Error(`opened at ${from}, and ${mark} is forgotten`);
        return source(from, flow);
      };
      const acknowledge = (position: number) => {
        mark = position;
      };
      return replicate({ source: Object.assign(reading, { acknowledge }), sink }).pipe(
        map(({ position }) => position ?? 0),
      );
    };
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
  for (const kind of ["partitions", "template", "more streams than it keeps in mind"] as const) {
    fault({
      fault: `master killed with writes that its replica lacks, over ${kind}, source with a mark of its own`,
      times: { short: 2, long: 6 },
      bed: () => clustered(withReplicas, overAll[kind]),
      writer: marked(false),
      count: tallyAll,
      inject: (scene) => loseNewest(scene),
    });
  }

  fault({
    fault:
      "writer and master killed together with writes that the replica lacks, source with a mark of its own",
    times: { short: 2, long: 6 },
    bed: () => clustered(withReplicas, overAll.partitions),
    writer: marked(false),
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
    writer: marked(true),
    count: tallyAll,
    inject: async ({ bed: { cluster }, load, index }) => {
      const killed = await cluster.killMaster(index === 0 ? `rxadd:${sinkId}` : "orders:{3}");
      await cluster.restart(killed);
      if (index === 0) load.crash();
      if (index === 0) load.start();
    },
  });
});
