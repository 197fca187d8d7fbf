import fc from "fast-check";
import { lastValueFrom, type Observable, VirtualTimeScheduler } from "rxjs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { isSinkError } from "../../src/index.ts";
import { type Connection, openConnection } from "../../src/redis/connection.ts";
import {
  computedLaneKeys,
  type EntryContent,
  type LaneKeys,
  laneKeys,
  type NumberedBatch,
} from "../../src/redis/publisher.ts";
import type { TrimOption } from "../../src/redis/trimming.ts";
import { type FakeEntry, fakeRedis } from "../../src/testing/index.ts";
import { type RedisServer, startRedis } from "../support/redisServer.ts";

const stream = "orders";
const dead = "orders.dead";
const lane = laneKeys(stream, "shop");

/** Why a server refuses to write. */
type Refusal = "memory" | "replica";

/** A server under test: what is done to it beside publishing, and what it holds. */
interface Bed {
  readonly connection: Connection;
  readonly add: (stream: string, event: string) => Promise<unknown>;
  readonly del: (key: string) => Promise<unknown>;
  readonly occupy: (key: string) => Promise<unknown>;
  /** From now on it writes nothing; undefined: it does again. */
  readonly refuse: (why: Refusal | undefined) => Promise<unknown>;
  readonly entries: (stream: string) => Promise<readonly FakeEntry[]>;
  /** Lets what was sent be done, where time does not go by itself. */
  readonly settle: () => void;
  readonly close: () => void;
}

const settings = {
  name: "contract",
  publish: "script",
  durability: undefined,
  tls: undefined,
  sentinel: undefined,
  connectTimeoutMs: 1000,
  sendTimeoutMs: 1000,
} as const;

/** When in each 30 ms of its clock the server in memory begins to be so. */
const begins = { well: 0, memory: 10, replica: 20 };

function fake(trim?: TrimOption): Bed {
  const clock = new VirtualTimeScheduler(undefined, 0);
  const redis = fakeRedis({ latencyMs: 0, replies: "o 9ms m 9ms r 9ms ".repeat(30), scheduler: clock });
  const connection = openConnection({ ...settings, trim, server: { connection: redis } });
  return {
    connection,
    add: async (key, event) => redis.xadd(key, "event", event),
    del: async (key) => redis.del(key),
    occupy: async (key) => redis.set(key),
    refuse: async (why) => {
      const before = clock.frame - (clock.frame % 30) + begins[why ?? "well"];
      clock.maxFrames = before < clock.frame ? before + 30 : before;
      clock.flush();
    },
    entries: async (key) => redis.entries(key),
    settle: () => clock.flush(),
    close: () => connection.unsubscribe(),
  };
}

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());
beforeEach(async () => {
  await server.client.replicaof("NO", "ONE");
  await server.client.config("SET", "maxmemory", "0");
  await server.client.flushall();
});

const real =
  (publish: "script" | "pipeline") =>
  (trim?: TrimOption): Bed => {
    const connection = openConnection({ ...settings, publish, trim, server: { uri: server.uri } });
    const { client } = server;
    let maxMemory = "0";
    /** What a test puts there is there, also while the sink's writes are refused. */
    const put = async (write: () => Promise<unknown>) => {
      await client.config("SET", "maxmemory", "0");
      await write().finally(() => client.config("SET", "maxmemory", maxMemory));
    };
    return {
      connection,
      add: (key, event) => put(() => client.xadd(key, "*", "event", event)),
      del: (key) => client.del(key),
      occupy: (key) => put(() => client.set(key, "text")),
      refuse: async (why) => {
        maxMemory = why === "memory" ? "1" : "0";
        await client.config("SET", "maxmemory", maxMemory);
        await (why === "replica" ? client.replicaof("127.0.0.1", "1") : client.replicaof("NO", "ONE"));
      },
      entries: async (key) =>
        (await client.type(key)) === "stream"
          ? (await client.xrange(key, "-", "+")).map(([entryId, content]) => ({ entryId, content }))
          : [],
      settle: () => {},
      close: () => connection.unsubscribe(),
    };
  };

function entry(text: string, where = stream): EntryContent {
  return { stream: where, payload: text, extra: undefined, isWhole: false, bytes: text.length };
}

function batch(sequence: number, epoch = 1, ...entries: readonly EntryContent[]): NumberedBatch {
  const events = entries.length > 0 ? entries : [entry(`${sequence}a`), entry(`${sequence}b`)];
  return { epoch, sequence, position: `p${sequence}`, entries: events };
}

/** What a step answers. */
async function exactly({ settle }: Bed, step$: Observable<object>): Promise<object> {
  const step = lastValueFrom(step$);
  settle();
  try {
    return await step;
  } catch (error) {
    if (!isSinkError(error)) throw error;
    return { refused: error._tag };
  }
}

/** The same, with entry IDs, which no two servers share, as whether there is one. */
async function answer(bed: Bed, step$: Observable<object>): Promise<object> {
  const found = await exactly(bed, step$);
  return "entryId" in found ? { ...found, entryId: found.entryId !== "" } : found;
}

const open = (bed: Bed, owner: string, keys: LaneKeys = lane) =>
  answer(bed, bed.connection.publisher.open(keys, owner));
const publish = (bed: Bed, sent: NumberedBatch, keys: LaneKeys = lane) =>
  answer(bed, bed.connection.publisher.publish(keys, sent));
const contents = async (bed: Bed, key: string) => (await bed.entries(key)).map(({ content }) => content);

const published = { reply: "published", entryId: true, isRenewed: false };
const opened = { epoch: 1, sequence: 0, position: "", entryId: false, foreignEntries: 0 };

describe.each([
  ["fakeRedis", fake],
  ["Redis, script", real("script")],
  ["Redis, pipeline", real("pipeline")],
] as const)("the publish protocol of %s", (name, start) => {
  // It asks for the newest ID when it needs it, and opening always writes.
  const isPipeline = name === "Redis, pipeline";
  let bed: Bed;
  beforeEach(() => {
    bed = start();
    return () => bed.close();
  });

  it("opens a lane at its beginning, and where it stands later", async () => {
    expect(await open(bed, "me")).toEqual(opened);
    await publish(bed, batch(1));

    expect(await open(bed, "you")).toEqual({
      epoch: 2,
      sequence: 1,
      position: "p1",
      entryId: !isPipeline,
      foreignEntries: 0,
    });
  });

  it("raises the epoch for another owner alone", async () => {
    await open(bed, "me");

    expect(await open(bed, "me")).toEqual(opened);
    expect(await open(bed, "you")).toEqual({ ...opened, epoch: 2 });
  });

  it("counts the entries of others at the first opening", async () => {
    await bed.add(stream, "theirs");

    expect(await open(bed, "me")).toEqual({ ...opened, foreignEntries: 1 });
    expect(await open(bed, "you")).toEqual({ ...opened, epoch: 2 });
  });

  it("adds batches in order, and one that comes again not again", async () => {
    await open(bed, "me");

    expect(await publish(bed, batch(1))).toEqual(published);
    expect(await publish(bed, batch(2))).toEqual(published);
    expect(await publish(bed, batch(2))).toEqual(published);
    expect(await publish(bed, batch(1))).toEqual(published);
    expect((await contents(bed, stream)).map(([, event]) => event)).toEqual(["1a", "1b", "2a", "2b"]);
  });

  it("adds nothing after a gap, and says where it stands", async () => {
    await open(bed, "me");
    await publish(bed, batch(1));

    expect(await publish(bed, batch(3))).toEqual({ reply: "gap", sequence: 1, position: "p1" });
    expect(await contents(bed, stream)).toHaveLength(2);
  });

  it("fences a writer that another one has followed", async () => {
    await open(bed, "me");
    await open(bed, "you");

    expect(await publish(bed, batch(1, 1))).toEqual({ reply: "fenced", epoch: 2 });
    expect(await publish(bed, batch(1, 2))).toEqual(published);
  });

  it("says that it has forgotten an opening", async () => {
    await open(bed, "me");

    expect(await publish(bed, batch(1, 5))).toEqual({ reply: "outdated", position: "" });
  });

  it("says that the state is missing, with the stream and without", async () => {
    await open(bed, "me");
    await publish(bed, batch(1));
    await bed.del(lane.state);
    expect(await publish(bed, batch(2))).toEqual({ reply: "missing", streamStands: true });
    await bed.del(stream);
    expect(await publish(bed, batch(2))).toEqual({ reply: "missing", streamStands: false });
  });

  it("begins a stream anew that somebody has deleted", async () => {
    await open(bed, "me");
    await publish(bed, batch(1));
    await bed.del(stream);

    expect(await publish(bed, batch(2))).toEqual({ ...published, isRenewed: true });
    expect(await contents(bed, stream)).toHaveLength(2);
  });

  it("refuses a key that holds something else", async () => {
    await bed.occupy(stream);

    expect(await open(bed, "me")).toEqual({ refused: "WrongType" });
    expect(await publish(bed, batch(1))).toEqual({ refused: "WrongType" });
  });

  it("refuses a key that came to hold something else, and adds nothing to the others of a batch", async () => {
    const keys = computedLaneKeys("shop");
    await open(bed, "me", keys);
    await publish(bed, batch(1, 1, entry("a", "s1"), entry("b", "s2")), keys);
    await bed.occupy("s2");

    const second = batch(2, 1, entry("c", "s1"), entry("d", "s2"));
    expect(await publish(bed, second, keys)).toEqual({ refused: "WrongType" });
    expect(await contents(bed, "s1")).toHaveLength(1);
    expect(await contents(bed, "s2")).toEqual([]);
  });

  it("refuses a producer state that holds something else", async () => {
    await bed.occupy(lane.state);

    expect(await open(bed, "me")).toEqual({ refused: "WrongType" });
    expect(await publish(bed, batch(1))).toEqual({ refused: "WrongType" });
  });

  it.each([
    { why: "memory", tag: "OutOfMemory" },
    { why: "replica", tag: "ReadOnlyReplica" },
  ] as const)("refuses only what has to be written, for want of $why", async ({ why, tag }) => {
    await open(bed, "me");
    await publish(bed, batch(1));
    await bed.refuse(why);

    expect(await publish(bed, batch(1))).toEqual(published);
    expect(await publish(bed, batch(3))).toEqual({ reply: "gap", sequence: 1, position: "p1" });
    expect(await publish(bed, batch(2, 2))).toEqual({ reply: "outdated", position: "p1" });
    if (!isPipeline) expect(await open(bed, "me")).toMatchObject({ epoch: 1, sequence: 1 });
    expect(await publish(bed, batch(2))).toEqual({ refused: tag });
    expect(await contents(bed, stream)).toHaveLength(2);
  });

  it("goes on when there is memory again", async () => {
    await open(bed, "me");
    await bed.refuse("memory");
    expect(await publish(bed, batch(1))).toEqual({ refused: "OutOfMemory" });
    await bed.refuse(undefined);

    expect(await publish(bed, batch(1))).toEqual(published);
  });

  it("names the newest entry of a batch that is no dead letter, also when the batch comes again", async () => {
    const keys = laneKeys(stream, "shop", dead);
    const sent = batch(1, 1, entry("good"), entry("better"), entry("bad", dead));
    const { publisher } = bed.connection;
    await open(bed, "me", keys);

    const first = await exactly(bed, publisher.publish(keys, sent));
    const again = await exactly(bed, publisher.publish(keys, sent));

    const newest = { ...published, entryId: (await bed.entries(stream)).at(-1)?.entryId };
    expect([first, again]).toEqual([newest, newest]);
  });

  it.each([
    { how: "to so many entries", trim: { maxLen: 3, approximate: false }, left: ["1b", "2a", "2b"] },
    {
      how: "to an ID that is yet to come",
      trim: { minId: "99999999999999", approximate: false },
      left: [],
    },
    {
      how: "to an ID that is gone",
      trim: { minId: "0-1", approximate: false },
      left: ["1a", "1b", "2a", "2b"],
    },
    { how: "not at all below a whole node", trim: { maxLen: 3 }, left: ["1a", "1b", "2a", "2b"] },
  ])("trims $how", async ({ trim, left }) => {
    bed.close();
    bed = start(trim);
    await open(bed, "me");

    await publish(bed, batch(1));
    await publish(bed, batch(2));

    expect((await contents(bed, stream)).map(([, event]) => event)).toEqual(left);
  });

  it("adds further fields, and entries without a field event", async () => {
    await open(bed, "me");
    const further = { ...entry("x"), extra: ["key", "7"] };
    const whole = { ...entry(""), extra: ["user", "7", "action", "log in"], isWhole: true };

    await publish(bed, batch(1, 1, further, whole));

    expect(await contents(bed, stream)).toEqual([
      ["event", "x", "key", "7"],
      ["user", "7", "action", "log in"],
    ]);
  });

  it("keeps dead letters apart, which make no stream stand", async () => {
    const keys = laneKeys(stream, "shop", dead);
    await open(bed, "me", keys);

    expect(await publish(bed, batch(1, 1, entry("bad", dead)), keys)).toEqual({
      ...published,
      entryId: false,
    });
    expect(await publish(bed, batch(2, 1, entry("bad", dead), entry("good")), keys)).toEqual(published);
    expect(await contents(bed, dead)).toHaveLength(2);
    expect(await contents(bed, stream)).toHaveLength(1);
  });

  it("spreads a batch over computed streams", async () => {
    const keys = computedLaneKeys("shop");
    await open(bed, "me", keys);

    expect(await publish(bed, batch(1, 1, entry("a", "s1"), entry("b", "s2")), keys)).toEqual(published);
    expect([await contents(bed, "s1"), await contents(bed, "s2")]).toEqual([
      [["event", "a"]],
      [["event", "b"]],
    ]);
  });

  it("moves the position on for a batch without entries", async () => {
    await open(bed, "me");
    await publish(bed, { epoch: 1, sequence: 1, position: "p9", entries: [] });

    expect(await open(bed, "you")).toMatchObject({ sequence: 1, position: "p9" });
    expect(await contents(bed, stream)).toEqual([]);
  });
});

/** The lanes of two sinks on one stream, the first with dead letters, and of one with computed streams. */
const sinks = [
  { keys: laneKeys(stream, "shop", dead), streams: [stream, dead] },
  { keys: laneKeys(stream, "till"), streams: [stream] },
  { keys: computedLaneKeys("shop", dead), streams: ["s1", "s2", dead] },
] as const;
const allStreams = [stream, dead, "s1", "s2"];

type Command =
  | { readonly do: "open"; readonly keys: LaneKeys; readonly owner: string }
  | { readonly do: "publish"; readonly keys: LaneKeys; readonly batch: NumberedBatch }
  | { readonly do: "del" | "occupy" | "add"; readonly key: string }
  | { readonly do: "refuse"; readonly why: "memory" | undefined };

const sink = fc.constantFrom(...sinks);
const key = fc.constantFrom(...allStreams, ...sinks.map(({ keys }) => keys.state));

const opening = fc.record({
  do: fc.constant("open" as const),
  keys: sink.map(({ keys }) => keys),
  owner: fc.constantFrom("me", "you"),
});

const publishing = sink.chain(({ keys, streams }) =>
  fc.record({
    do: fc.constant("publish" as const),
    keys: fc.constant(keys),
    batch: fc.record({
      epoch: fc.integer({ min: 1, max: 3 }),
      sequence: fc.integer({ min: 1, max: 5 }),
      position: fc.constantFrom("", "1", '"a b"'),
      entries: fc.array(
        fc
          .record({
            where: fc.constantFrom<string>(...streams),
            text: fc.string({ unit: "grapheme" }),
            extra: fc.constantFrom(undefined, ["key", "7"]),
          })
          .map(({ where, text, extra }) => ({
            ...entry(text, where),
            extra,
            bytes: Buffer.byteLength(text),
          })),
        { maxLength: 3 },
      ),
    }),
  }),
);

const interference = fc.record({ do: fc.constantFrom("del" as const, "occupy" as const), key });
const foreign = fc.record({ do: fc.constant("add" as const), key: fc.constantFrom(...allStreams) });
const refusing = fc.record({
  do: fc.constant("refuse" as const),
  why: fc.constantFrom("memory" as const, undefined),
});

/** Openings and first batches come often, so that runs get somewhere. */
const steps = [
  { weight: 4, arbitrary: opening },
  { weight: 12, arbitrary: publishing },
  { weight: 1, arbitrary: interference },
  { weight: 1, arbitrary: foreign },
] as const;

async function take(bed: Bed, step: Command): Promise<object> {
  switch (step.do) {
    case "open":
      return open(bed, step.owner, step.keys);
    case "publish":
      return publish(bed, step.batch, step.keys);
    case "refuse":
      await bed.refuse(step.why);
      return {};
    case "add":
      // Where another program finds something else it is told so, too.
      return bed.add(step.key, "theirs").then(
        () => ({}),
        (error: Error) => ({ refused: /WRONGTYPE/.test(error.message) }),
      );
    default:
      await bed[step.do](step.key);
      return {};
  }
}

/** All answers, and what there is in the end. */
async function run(bed: Bed, commands: readonly Command[]): Promise<readonly unknown[]> {
  const answers: unknown[] = [];
  for (const step of commands) answers.push(await take(bed, step));
  for (const key of allStreams) answers.push(await contents(bed, key));
  return answers;
}

describe("fakeRedis", () => {
  /** It neither stores the newest ID nor, with dead letters, tells that a stream begins anew. */
  const likePipeline = (answers: readonly unknown[]) =>
    answers.map((one) =>
      typeof one === "object" && one !== null && !Array.isArray(one)
        ? { ...one, entryId: undefined, isRenewed: undefined }
        : one,
    );

  it.each([
    {
      publish: "script",
      command: fc.oneof(...steps, { weight: 1, arbitrary: refusing }),
      compared: (answers: readonly unknown[]) => answers,
    },
    { publish: "pipeline", command: fc.oneof(...steps), compared: likePipeline },
  ] as const)(
    "answers as Redis does with $publish, whatever is done to it in whatever order",
    async ({ publish, command, compared }) => {
      await fc.assert(
        fc.asyncProperty(fc.array(command, { maxLength: 30 }), async (commands) => {
          await server.client.config("SET", "maxmemory", "0");
          await server.client.flushall();
          const beds = [fake(), real(publish)()] as const;
          try {
            const [inMemory, onServer] = await Promise.all(beds.map((bed) => run(bed, commands)));
            expect(compared(inMemory ?? [])).toEqual(compared(onServer ?? []));
          } finally {
            for (const { close } of beds) close();
          }
        }),
        { numRuns: 200 },
      );
    },
  );
});
