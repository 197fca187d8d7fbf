import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import { Redis } from "ioredis";
import { redisSink } from "rxadd";
import { Subject } from "rxjs";
import { publishScript } from "../../src/redis/publish/publishScript.ts";
import { eventsOf, type ReadyEvent } from "../benchEvent.ts";
import { rxaddScript } from "../contenders/rxadd.ts";
import { paced } from "../paced.ts";
import { race, usual } from "../race.ts";
import { percentiles, type Row } from "../row.ts";
import type { Settings } from "../section.ts";

/** Publishes one event; tells when it is safe. */
type Publish = (event: ReadyEvent) => void;

/** A way to publish single events as they come. */
interface Lane {
  readonly publish: Publish;
  readonly close: () => Promise<void>;
}

/** Opens one; `safe` is told the position up to which everything is in the stream. */
type OpenLane = (uri: string, stream: string, safe: (position: number) => void) => Promise<Lane>;

const bareXadd: OpenLane = async (uri, stream, safe) => {
  const redis = new Redis(uri);
  await redis.ping();
  return {
    publish: async ({ position, json }) => {
      await redis.xadd(stream, "*", "event", json);
      safe(position);
    },
    close: async () => {
      await redis.quit();
    },
  };
};

/** What `redisSink` calls, without the chain around it: what exactly once costs by itself. */
const bareScript: OpenLane = async (uri, stream, safe) => {
  const redis = new Redis(uri);
  const sha = String(await redis.script("LOAD", publishScript()));
  const state = `{${stream}}:rxadd:bench`;
  await redis.hset(state, { epoch: 1, sequence: 0, owner: "bench", position: "", ahead: "", entry: "" });
  return {
    publish: async ({ position, json }) => {
      await redis.evalsha(sha, 2, state, stream, "bench", 1, position, position, "", 0, 1, json);
      safe(position);
    },
    close: async () => {
      await redis.quit();
    },
  };
};

const rxadd: OpenLane = async (uri, stream, safe) => {
  const events$ = new Subject<ReadyEvent>();
  const sink = redisSink<ReadyEvent, number>({
    id: "bench",
    uri,
    stream,
    event: { encode: ({ json }) => json },
    // It is to be measured, not to be paused, while the first events warm up.
    buffer: { maxEvents: 1_000_000 },
    status: { next: ({ state }) => state === "opened" && opened() },
  });
  let opened = () => {};
  const isOpen = new Promise<void>((resolve) => {
    opened = resolve;
  });
  const done = events$.pipe(sink).forEach(({ position = 0 }) => {
    safe(position);
  });
  await isOpen;
  return {
    publish: (event) => events$.next(event),
    close: async () => {
      events$.complete();
      await done;
    },
  };
};

/** What is published: as many events as a rate gives in so many seconds. */
interface Load {
  readonly uri: string;
  readonly perSecond: number;
  readonly seconds: number;
}

/** The events of a load take turns with these texts. */
const texts = eventsOf(1_000).map(({ json }) => json);

/** Publishes at a steady rate, and records for each event the ns from `publish` until it was safe. */
async function run(open: OpenLane, load: Load, histogram: RecordableHistogram): Promise<void> {
  const { uri, perSecond, seconds } = load;
  const stream = `rxadd-bench-${process.pid}`;
  const count = perSecond * seconds;
  const sentMs = new Float64Array(count + 1);
  // The first quarter warms up.
  const warmUp = count / 4;
  let isSafe = 0;
  let isDone = () => {};
  const done = new Promise<void>((resolve) => {
    isDone = resolve;
  });
  const { publish, close } = await open(uri, stream, (position) => {
    const now = performance.now();
    for (; isSafe < position; isSafe += 1) {
      const ns = Math.max(1, Math.round((now - (sentMs[isSafe + 1] ?? now)) * 1e6));
      if (isSafe >= warmUp) histogram.record(ns);
    }
    if (isSafe === count) isDone();
  });

  await paced(perSecond, count, (position) => {
    sentMs[position] = performance.now();
    publish({ position, json: texts[position % texts.length] ?? "" });
  });
  await done;
  await close();
  const redis = new Redis(uri);
  await redis.del(stream, `{${stream}}:rxadd:bench`);
  await redis.quit();
}

const contenders = {
  "await redis.xadd()": bareXadd,
  "await redis.evalsha()": bareScript,
  rxadd,
};

/** The contenders take turns at one rate; the first round only warms up. */
async function* at(
  perSecond: number,
  names: readonly (keyof typeof contenders)[],
  { uri, rounds }: Settings,
): AsyncGenerator<Row> {
  const load = { uri, perSecond, seconds: perSecond < 100 ? 4 : 2 };
  const histograms = new Map(names.map((name) => [name, createHistogram()]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, histogram] of histograms)
      await run(contenders[name], load, round === 0 ? createHistogram() : histogram);
  }
  for (const [name, histogram] of histograms) {
    yield { section: "latency", name, "events/s": perSecond, ...percentiles(histogram) };
  }
}

/** From `next()` to the checkpoint, beside a bare awaited XADD at the same rate. */
export async function* latency(settings: Settings): AsyncGenerator<Row> {
  const { uri, events } = settings;
  for (const rate of [10, 1_000, 10_000])
    yield* at(rate, ["await redis.xadd()", "await redis.evalsha()", "rxadd"], settings);
  const order = { ...usual, uri, count: events };
  const [fastest] = await race({ contenders: [rxaddScript], order, rounds: 2 });
  // One by one does not reach that rate.
  yield* at(Math.round(0.8 * (fastest?.eventsPerSecond ?? 0)), ["rxadd"], settings);
}
