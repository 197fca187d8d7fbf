import { Cluster } from "ioredis";
import { from, Subject } from "rxjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type Checkpoint,
  type RedisSink,
  redisSink,
  replicate,
  type SinkOptions,
  type SinkStatus,
} from "../../src/index.ts";
import { readEvents } from "../kit/load/tally.ts";
import { failureOf } from "../kit/program/failureOf.ts";
import { type ClusterServers, startCluster } from "../kit/servers/clusterServers.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

/** What a process of an app says; nothing tells where it stands in a source. */
interface Told {
  readonly by: string;
  readonly n: number;
  readonly key: string;
  readonly position?: number;
}

type Settings = Partial<SinkOptions<Told, number>>;

const redis = emptyRedis();
const stream = "shop.domain";

/** One of several processes with the same configuration. */
function writer(by: string, settings: Settings = {}) {
  const events = new Subject<Told>();
  const checkpoints: Checkpoint<number>[] = [];
  const statuses: SinkStatus[] = [];
  const sink: RedisSink<Told, number> = redisSink<Told, number>({
    ...{ id: "domain", uri: redis.uri, stream, retry: { initialMs: 10 } },
    batch: { maxEvents: 3 },
    status: { next: (status) => statuses.push(status) },
    ...settings,
  } as SinkOptions<Told, number>);
  let ending: unknown;
  const running = events.pipe(sink).subscribe({
    next: (checkpoint) => checkpoints.push(checkpoint),
    error: (error) => {
      ending = error;
    },
    complete: () => {
      ending = "completed";
    },
  });
  let n = 0;
  return {
    checkpoints,
    statuses,
    running,
    ending: () => ending,
    say: (count: number, position?: number) => {
      for (let i = 0; i < count; i += 1) {
        n += 1;
        events.next({ by, n, key: `${n % 2}`, ...(position !== undefined && { position }) });
      }
    },
    end: () => events.complete(),
    safe: () => checkpoints.reduce((sum, { events: safe }) => sum + safe, 0),
    lost: () => statuses.reduce((sum, status) => sum + (status.state === "lost" ? status.events : 0), 0),
    said: () => n,
  };
}

type Writer = ReturnType<typeof writer>;
const safe = (...writers: readonly Writer[]) =>
  waitUntil(() => writers.every((one) => one.ending() !== undefined || one.safe() === one.said()));

/** The numbers that each process has said, as the streams have them. */
async function found(
  client: Parameters<typeof readEvents>[0],
  streams: readonly string[],
  by: string,
): Promise<readonly number[][]> {
  const read = await Promise.all(streams.map((key) => readEvents(client, key)));
  return read.map((events) =>
    events.flatMap((event) => {
      const told: Told = JSON.parse(event);
      return told.by === by ? [told.n] : [];
    }),
  );
}

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

let cluster: ClusterServers;
let clusterClient: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ masters: 2 });
  clusterClient = new Cluster(cluster.nodes.map(({ port }) => ({ host: "127.0.0.1", port })));
});
afterAll(async () => {
  clusterClient.disconnect();
  await cluster.stop();
});

interface Kind {
  readonly settings: () => Settings;
  readonly streams: readonly string[];
  readonly isCluster?: boolean;
}

const partitions = [`${stream}:{0}`, `${stream}:{1}`];
const computed = { stream: ({ key }: Told) => `${stream}.${key}` };
const kinds: readonly (readonly [string, Kind])[] = [
  ["by script", { settings: () => ({}), streams: [stream] }],
  ["by multi", { settings: () => ({ publish: "multi" }), streams: [stream] }],
  ["durable", { settings: () => ({ durability: { replicas: 0 } }), streams: [stream] }],
  ["to computed streams", { settings: () => computed, streams: [`${stream}.0`, `${stream}.1`] }],
  ["to partitions", { settings: () => ({ partitions: 2 }), streams: partitions }],
  [
    "to computed streams by multi",
    { settings: () => ({ ...computed, publish: "multi" }), streams: [`${stream}.0`, `${stream}.1`] },
  ],
  [
    "to the partitions of a Cluster",
    { settings: () => ({ partitions: 2, uri: cluster.uri }), streams: partitions, isCluster: true },
  ],
  [
    "to a stream of a Cluster, durable",
    {
      settings: () => ({ uri: cluster.uri, durability: { replicas: 0 } }),
      streams: [stream],
      isCluster: true,
    },
  ],
];

describe.each(kinds)("many writers %s", (_, { settings, streams, isCluster }) => {
  const client = () => (isCluster ? clusterClient : redis.client);
  const flush = () =>
    isCluster
      ? Promise.all(cluster.nodes.map((node) => node.client.flushall().catch(() => {})))
      : redis.client.flushall();
  const all = async (by: string) =>
    (await found(client(), streams, by)).flat().sort((one, other) => one - other);

  it("publish side by side, each event once and in the order of its writer", async () => {
    await flush();
    const writers = ["a", "b", "c"].map((by) => writer(by, settings()));
    for (let round = 0; round < 10; round += 1) {
      for (const one of writers) one.say(10);
      await safe(...writers);
    }

    for (const [index, by] of ["a", "b", "c"].entries()) {
      expect(writers[index]?.ending()).toBeUndefined();
      expect(await all(by)).toEqual(range(1, 100));
      for (const numbers of await found(client(), streams, by))
        expect(numbers).toEqual([...numbers].sort((one, other) => one - other));
    }
    expect(writers[0]?.checkpoints.at(-1)).toMatchObject({ position: undefined, replayed: 0 });
    for (const one of writers) one.running.unsubscribe();
  });

  it("go on with what they hold when Redis comes back empty, and tell what it has lost", async () => {
    await flush();
    const writers = [writer("a", settings()), writer("b", settings())];
    for (const one of writers) one.say(20);
    await safe(...writers);
    await flush();
    for (const one of writers) one.say(10);
    await safe(...writers);

    for (const [index, by] of ["a", "b"].entries()) {
      expect(writers[index]?.ending()).toBeUndefined();
      expect(writers[index]?.lost()).toBe(20);
      expect(await all(by)).toEqual(range(21, 30));
    }
    for (const one of writers) one.end();
    await waitUntil(() => writers.every((one) => one.ending() === "completed"));
  });

  it("begin with what was not safe when Redis has lost only their newest batches", async () => {
    await flush();
    const one = writer("a", settings());
    one.say(3);
    await safe(one);
    const keys = (await Promise.all(cluster.nodes.map((node) => node.client.keys("*:run:*")))).flat();
    const states = isCluster ? keys : await redis.client.keys("*:run:*");
    expect(states.length).toBeGreaterThan(0);
    one.say(6);
    await safe(one);
    // As a failover leaves it: its newest batches are gone.
    for (const state of states) await client().hset(state, "sequence", 1);
    one.say(3);
    await safe(one);

    expect(one.ending()).toBeUndefined();
    // Of several streams each has its own, or all have one, of which a batch may have more or fewer events.
    expect(one.lost()).toBeGreaterThan(0);
    expect(one.lost()).toBeLessThanOrEqual(8);
    expect(await all("a")).toEqual(range(1, 12));
    one.running.unsubscribe();
  });
});

describe("many writers", () => {
  it("leave a state that expires, and none of the sink's own where they say so", async () => {
    const one = writer("a", { writers: "many" });
    one.say(1);
    await safe(one);
    one.running.unsubscribe();

    const [state = "", ...others] = (await redis.client.keys("*")).filter((key) => key !== stream);
    expect(state).toMatch(/^\{shop\.domain\}:rxadd:domain:run:[0-9a-f-]{36}$/);
    expect(others).toEqual([]);
    expect(await redis.client.pttl(state)).toBeGreaterThan(86_300_000);
  });

  it("are told at once of a wrong password, before the first event", async () => {
    for (const writers of [undefined, "many"] as const) {
      const one = writer("a", { writers, uri: redis.uri.replace("://", "://nobody:wrong@") });
      await waitUntil(() => one.ending() !== undefined);
      expect(one.ending()).toMatchObject({ _tag: "AuthenticationFailed" });
    }
  });

  it("publish beside one owner of the same id, and fence nobody where they say so", async () => {
    const owner = writer("owner", { writers: "one" });
    owner.say(1, 1);
    await safe(owner);
    const one = writer("a", { writers: "many" });
    one.say(1);
    await safe(one);
    owner.say(1, 2);
    await safe(owner);

    expect(owner.ending()).toBeUndefined();
    expect(owner.checkpoints.at(-1)).toMatchObject({ position: 2, sequence: 2 });
    expect(one.checkpoints.at(-1)).toMatchObject({ position: undefined, sequence: 1 });
    for (const { running } of [owner, one]) running.unsubscribe();
  });

  it("publish no event with a position: nobody would know it again", async () => {
    for (const writers of [undefined, "many"] as const) {
      const one = writer(`${writers}`, { writers });
      one.say(1);
      await safe(one);
      one.say(1, 7);
      await waitUntil(() => one.ending() !== undefined);

      expect(one.ending()).toMatchObject({
        _tag: "PositionInvalid",
        message: expect.stringMatching(/event 1: found position 7, expected none: .* set writers: "one"/),
      });
      expect((await found(redis.client, [stream], `${writers}`)).flat()).toEqual([1]);
    }
  });

  it("cannot be asked where a source is to go on", async () => {
    const sink = redisSink<Told, number>({ id: "domain", uri: redis.uri, stream, writers: "many" });
    const source = () => from<Told[]>([]);
    const failure = await failureOf(replicate<Told, number>({ source, sink }));
    expect(failure).toMatchObject({ _tag: "ConfigurationInvalid" });
    expect(`${failure}`).toContain('sink domain: found writers: "many"');
  });

  it("need no position of an earlier run in their checkpoints", async () => {
    const owner = writer("owner");
    owner.say(1, 1);
    await safe(owner);
    owner.running.unsubscribe();
    const one = writer("a");
    one.say(1);
    await safe(one);

    expect(one.checkpoints).toMatchObject([{ position: undefined, events: 1 }]);
    one.running.unsubscribe();
  });
});

describe("one owner of events without positions", () => {
  it.each(["script", "multi"] as const)(
    "goes on with what it holds when Redis comes back empty (%s)",
    async (publish) => {
      const one = writer("a", { writers: "one", publish });
      one.say(20);
      await safe(one);
      await redis.client.flushall();
      one.say(10);
      await safe(one);

      expect(one.ending()).toBeUndefined();
      expect(one.lost()).toBe(20);
      expect((await found(redis.client, [stream], "a")).flat()).toEqual(range(21, 30));
      one.running.unsubscribe();
    },
  );

  it("is still told that another one has taken over", async () => {
    const one = writer("a", { writers: "one" });
    one.say(1);
    await safe(one);
    const other = writer("b", { writers: "one" });
    other.say(1);
    await safe(other);
    one.say(1);
    await waitUntil(() => one.ending() !== undefined);

    expect(one.ending()).toMatchObject({ _tag: "Fenced" });
    other.running.unsubscribe();
  });
});
