import fc from "fast-check";
import { lastValueFrom } from "rxjs";
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
import { fakeRedis } from "../../src/testing/index.ts";
import { type RedisServer, startRedis } from "../support/redisServer.ts";

const stream = "orders";
const dead = "orders.dead";
const lane = laneKeys(stream, "shop");

/** A server under test: what is done to it beside publishing, and what it holds. */
interface Bed {
  readonly connection: Connection;
  readonly add: (stream: string, event: string) => Promise<unknown>;
  readonly del: (key: string) => Promise<unknown>;
  readonly occupy: (key: string) => Promise<unknown>;
  /** The contents of a stream's entries. */
  readonly contents: (stream: string) => Promise<readonly (readonly string[])[]>;
  readonly close: () => void;
}

function fake(): Bed {
  const redis = fakeRedis({ latencyMs: 0 });
  const connection = openConnection({ ...settings, server: { connection: redis } });
  return {
    connection,
    add: async (key, event) => redis.xadd(key, "event", event),
    del: async (key) => redis.del(key),
    occupy: async (key) => redis.set(key),
    contents: async (key) => redis.entries(key).map(({ content }) => content),
    close: () => connection.unsubscribe(),
  };
}

const settings = {
  name: "contract",
  publish: "script",
  durability: undefined,
  trim: undefined,
  tls: undefined,
  sentinel: undefined,
  connectTimeoutMs: 1000,
  sendTimeoutMs: 1000,
} as const;

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());
beforeEach(async () => {
  await server.client.flushall();
});

const real = (publish: "script" | "pipeline") => (): Bed => {
  const connection = openConnection({ ...settings, publish, server: { uri: server.uri } });
  const { client } = server;
  return {
    connection,
    add: (key, event) => client.xadd(key, "*", "event", event),
    del: (key) => client.del(key),
    occupy: (key) => client.set(key, "text"),
    contents: async (key) =>
      (await client.type(key)) === "stream"
        ? (await client.xrange(key, "-", "+")).map(([, content]) => content)
        : [],
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

/** What a step answers; entry IDs, which no two servers share, as whether there is one. */
async function answer(step: Promise<object>): Promise<unknown> {
  try {
    const found = await step;
    return "entryId" in found ? { ...found, entryId: found.entryId !== "" } : found;
  } catch (error) {
    return isSinkError(error) ? error._tag : error;
  }
}

const open = ({ connection }: Bed, owner: string, keys: LaneKeys = lane) =>
  answer(lastValueFrom(connection.publisher.open(keys, owner)));
const publish = ({ connection }: Bed, sent: NumberedBatch, keys: LaneKeys = lane) =>
  answer(lastValueFrom(connection.publisher.publish(keys, sent)));

const published = { reply: "published", entryId: true, isRenewed: false };
const opened = { epoch: 1, sequence: 0, position: "", entryId: false, foreignEntries: 0 };

describe.each([
  ["fakeRedis", fake],
  ["Redis, script", real("script")],
  ["Redis, pipeline", real("pipeline")],
] as const)("the publish protocol of %s", (name, start) => {
  // It asks for the newest ID when it needs it.
  const knowsEntry = name !== "Redis, pipeline";
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
      entryId: knowsEntry,
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
    expect((await bed.contents(stream)).map(([, event]) => event)).toEqual(["1a", "1b", "2a", "2b"]);
  });

  it("adds nothing after a gap, and says where it stands", async () => {
    await open(bed, "me");
    await publish(bed, batch(1));

    expect(await publish(bed, batch(3))).toEqual({ reply: "gap", sequence: 1, position: "p1" });
    expect(await bed.contents(stream)).toHaveLength(2);
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
    expect(await bed.contents(stream)).toHaveLength(2);
  });

  it("refuses a key that holds something else", async () => {
    await bed.occupy(stream);

    expect(await open(bed, "me")).toBe("WrongType");
    expect(await publish(bed, batch(1))).toBe("WrongType");
  });

  it("adds further fields, and entries without a field event", async () => {
    await open(bed, "me");
    const further = { ...entry("x"), extra: ["key", "7"] };
    const whole = { ...entry(""), extra: ["user", "7", "action", "log in"], isWhole: true };

    await publish(bed, batch(1, 1, further, whole));

    expect(await bed.contents(stream)).toEqual([
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
    expect(await bed.contents(dead)).toHaveLength(2);
    expect(await bed.contents(stream)).toHaveLength(1);
  });

  it("spreads a batch over computed streams", async () => {
    const keys = computedLaneKeys("shop");
    await open(bed, "me", keys);

    expect(await publish(bed, batch(1, 1, entry("a", "s1"), entry("b", "s2")), keys)).toEqual(published);
    expect([await bed.contents("s1"), await bed.contents("s2")]).toEqual([
      [["event", "a"]],
      [["event", "b"]],
    ]);
  });

  it("moves the position on for a batch without entries", async () => {
    await open(bed, "me");
    await publish(bed, { epoch: 1, sequence: 1, position: "p9", entries: [] });

    expect(await open(bed, "you")).toMatchObject({ sequence: 1, position: "p9" });
    expect(await bed.contents(stream)).toEqual([]);
  });
});

describe("fakeRedis", () => {
  const owner = fc.constantFrom("me", "you");
  const command = fc.oneof(
    { weight: 2, arbitrary: fc.record({ do: fc.constant("open" as const), owner }) },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant("publish" as const),
        epoch: fc.integer({ min: 1, max: 3 }),
        sequence: fc.integer({ min: 1, max: 5 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant("delete" as const), key: fc.constantFrom(stream, lane.state) }),
    },
    { weight: 1, arbitrary: fc.constant({ do: "add" as const }) },
  );

  it("answers as Redis does, whatever is done to it in whatever order", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 20 }), async (commands) => {
        await server.client.flushall();
        const beds = [fake(), real("script")()];
        try {
          const answers = await Promise.all(
            beds.map(async (bed) => {
              const all: unknown[] = [];
              for (const step of commands) {
                if (step.do === "open") all.push(await open(bed, step.owner));
                else if (step.do === "publish")
                  all.push(await publish(bed, batch(step.sequence, step.epoch)));
                else if (step.do === "delete") await bed.del(step.key);
                else await bed.add(stream, "theirs");
              }
              return [...all, await bed.contents(stream)];
            }),
          );
          expect(answers[0]).toEqual(answers[1]);
        } finally {
          for (const { close } of beds) close();
        }
      }),
      { numRuns: 200 },
    );
  });
});
