import { type SchedulerLike, VirtualTimeScheduler } from "rxjs";
import type { SinkSettings } from "../../src/index.ts";
import { type FakeRedis, fakeRedis } from "../../src/testing/index.ts";
import type { LogEvent } from "../support/forgettingLog.ts";
import type { RedisServer } from "../support/redisServer.ts";
import { waitUntil } from "../support/waitUntil.ts";
import type { Happening, History } from "./sourceHistory.ts";

/** Where the sinks of a history publish, and what time it is there. */
export interface Bed {
  /** What a sink needs to get there. */
  readonly target: (sink: number) => Partial<SinkSettings<LogEvent, number>> & Target;
  /** What happens to Redis; the next step begins afterwards. */
  readonly happen: (happening: Happening) => Promise<void>;
  /** Lets so much time go by, in ms; a real server takes what it needs. */
  readonly advance: (ms: number) => Promise<void>;
  /** Waits until something holds; returns whether it does. */
  readonly until: (holds: () => Promise<boolean>) => Promise<boolean>;
  /** The positions in the stream of a sink. */
  readonly positions: (sink: number) => Promise<readonly number[]>;
  /** Says which sinks have a position. */
  readonly standing: () => Promise<(sink: number) => boolean>;
  readonly scheduler: SchedulerLike | undefined;
}

/** A key, and what it held, as Redis dumps it; null: it was not there. */
interface Kept {
  readonly key: string;
  readonly dump: unknown;
}

type Target = { readonly connection: FakeRedis } | { readonly uri: string };

export const idOf = (sink: number) => `sink${sink}`;
export const streamOf = (sink: number) => `orders${sink}`;
const stateOf = (sink: number) => `{${streamOf(sink)}}:rxadd:${idOf(sink)}`;
const positionIn = (event: string): number => JSON.parse(event).position;

/** How long a step takes, in virtual ms. */
export const stepMs = 3000;

/** Redis in memory, in virtual time: what becomes of each connection is known beforehand. */
export function fakeBed({ happenings }: History): Bed {
  const scheduler = new VirtualTimeScheduler();
  const redises = [0, 1, 2].map((sink) => {
    let condition = "o";
    const signs = happenings.map((happening) => {
      if (!("sink" in happening) || happening.sink !== sink) return condition;
      if (happening.do === "down" || happening.do === "up") condition = happening.do === "down" ? "x" : "o";
      return happening.do === "loseNewest" ? `${happening.batches}` : condition;
    });
    // One more at the end: everything is there again.
    return fakeRedis({ replies: ["o", ...signs, "o"].join(` ${stepMs - 1}ms `), scheduler });
  });
  const redisOf = (sink: number): FakeRedis => {
    const redis = redises[sink];
    if (redis === undefined) throw new RangeError(`there is no sink ${sink}`);
    return redis;
  };
  const advance = async (ms: number) => {
    scheduler.maxFrames = scheduler.frame + ms;
    scheduler.flush();
    scheduler.frame = scheduler.maxFrames;
  };
  return {
    scheduler,
    target: (sink) => ({ connection: redisOf(sink) }),
    happen: async (happening) => {
      if (happening.do !== "loseAll" && happening.do !== "loseState") return;
      redisOf(happening.sink).del(stateOf(happening.sink));
      if (happening.do === "loseAll") redisOf(happening.sink).del(streamOf(happening.sink));
    },
    advance,
    until: async (holds) => {
      await advance(stepMs);
      return holds();
    },
    standing: async () => (sink) => Boolean(redisOf(sink).position(idOf(sink), streamOf(sink))),
    positions: async (sink) => redisOf(sink).events(streamOf(sink)).map(positionIn),
  };
}

/** A real server, which keeps what it had, to go back there. It is never down: the fake one is. */
export function realBed({ client, uri }: RedisServer): Bed {
  /** What each key of a sink held before each step. */
  const earlier = new Map<number, (readonly Kept[])[]>();
  const keysOf = (sink: number) => [streamOf(sink), stateOf(sink)];

  // All keys at one moment, both ways: a sink is publishing meanwhile, and half of a batch is what no server loses.
  async function keep(sink: number): Promise<void> {
    const dumping = client.multi();
    for (const key of keysOf(sink)) dumping.dumpBuffer(key);
    const dumped = (await dumping.exec()) ?? [];
    const kept = keysOf(sink).map((key, index) => ({ key, dump: dumped[index]?.[1] }));
    earlier.set(sink, [...(earlier.get(sink) ?? []), kept]);
  }

  async function goBack(sink: number, batches: number): Promise<void> {
    const restoring = client.multi().del(...keysOf(sink));
    for (const { key, dump } of earlier.get(sink)?.at(-1 - batches) ?? [])
      if (dump instanceof Buffer) restoring.restore(key, 0, dump);
    await restoring.exec();
  }

  return {
    scheduler: undefined,
    target: () => ({ uri }),
    happen: async (happening) => {
      for (const sink of [0, 1, 2]) await keep(sink);
      if (!("sink" in happening)) return;
      const { sink } = happening;
      if (happening.do === "loseState") await client.del(stateOf(sink));
      if (happening.do === "loseAll") await client.del(...keysOf(sink));
      if (happening.do === "loseNewest") await goBack(sink, happening.batches);
    },
    advance: async () => {
      for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
      await client.ping();
    },
    until: (holds) =>
      waitUntil(holds).then(
        () => true,
        () => false,
      ),
    standing: async () => {
      const stored = await Promise.all([0, 1, 2].map((sink) => client.hget(stateOf(sink), "position")));
      return (sink) => Boolean(stored[sink]);
    },
    positions: async (sink) =>
      (await client.xrange(streamOf(sink), "-", "+")).map(([, [, event = ""]]) => positionIn(event)),
  };
}
