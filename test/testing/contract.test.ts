import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  computedLaneKeys,
  type EntryContent,
  type LaneKeys,
  laneKeys,
  type NumberedBatch,
  runKeys,
} from "../../src/redis/publish/publishPort.ts";
import type { TrimOptions } from "../../src/redis/publish/trimming.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import * as beds from "./publisherBeds.ts";
import { type Bed, contents, entryOf, exactly, fake, real, reset } from "./publisherBeds.ts";

const stream = "orders";
const dead = "orders.dead";
const lane = laneKeys(stream, "shop");

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());
beforeEach(() => reset(server));

const entry = (text: string, where = stream) => beds.entry(text, where);
const open = (bed: Bed, owner: string, keys: LaneKeys = lane, adopt = false) =>
  beds.open(bed, owner, keys, adopt);
const publish = (bed: Bed, sent: NumberedBatch, keys: LaneKeys = lane) => beds.publish(bed, sent, keys);

/** A batch of the owner with this epoch: `me` opens first, `you` next. */
function batch(sequence: number, epoch = 1, ...entries: readonly EntryContent[]): NumberedBatch {
  const events = entries.length > 0 ? entries : [entry(`${sequence}a`), entry(`${sequence}b`)];
  const owner = epoch === 1 ? "me" : "you";
  return { owner, epoch, sequence, position: `p${sequence}`, ahead: "", entries: events };
}

const published = { reply: "published", entryId: true, isRenewed: false };
const opened = {
  reply: "opened",
  epoch: 1,
  sequence: 0,
  position: "",
  ahead: "",
  entryId: false,
  foreignEntries: 0,
};

describe.each([
  ["fakeRedis", fake],
  ["Redis, script", (trim?: TrimOptions) => real(server, "script", trim)],
  ["Redis, multi", (trim?: TrimOptions) => real(server, "multi", trim)],
] as const)("the publish protocol of %s", (name, start) => {
  // It asks for the newest ID when it needs it, and opening always writes.
  const isMulti = name === "Redis, multi";
  let bed: Bed;
  beforeEach(() => {
    bed = start();
    return () => bed.close();
  });

  it("opens a lane at its beginning, and where it stands later", async () => {
    expect(await open(bed, "me")).toEqual(opened);
    await publish(bed, batch(1));

    expect(await open(bed, "you")).toEqual({
      reply: "opened",
      epoch: 2,
      sequence: 1,
      position: "p1",
      ahead: "",
      entryId: !isMulti,
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

  describe("with a state of the subscription's own", () => {
    const run = runKeys(lane, "run 1");

    it("makes it with the first batch, and adds what comes again not again", async () => {
      expect(await publish(bed, batch(1), run)).toEqual(published);
      expect(await publish(bed, batch(2), run)).toEqual(published);
      expect(await publish(bed, batch(1), run)).toEqual(published);
      expect((await contents(bed, stream)).map(([, event]) => event)).toEqual(["1a", "1b", "2a", "2b"]);
    });

    it("makes none with a later one, and says what is missing", async () => {
      expect(await publish(bed, batch(2), run)).toEqual({ reply: "missing", streamStands: false });
      await publish(bed, batch(1), run);
      expect(await publish(bed, batch(3), run)).toEqual({ reply: "gap", sequence: 1, position: "p1" });
      await bed.del(run.state);
      expect(await publish(bed, batch(2), run)).toEqual({ reply: "missing", streamStands: true });
      expect(await contents(bed, stream)).toHaveLength(2);
    });

    it("changes nothing of the sink's lane, nor of another subscription's", async () => {
      await open(bed, "me");
      await publish(bed, batch(1), run);
      await publish(bed, batch(1), runKeys(lane, "run 2"));

      expect(await publish(bed, batch(1))).toEqual(published);
      expect(await contents(bed, stream)).toHaveLength(6);
    });

    it("adds nothing while Redis has no memory", async () => {
      await bed.refuse("memory");

      expect(await publish(bed, batch(1), run)).toEqual({ refused: "OutOfMemory" });
      await bed.refuse(undefined);
      expect(await publish(bed, batch(1), run)).toEqual(published);
      expect(await contents(bed, stream)).toHaveLength(2);
    });

    it.skipIf(name === "fakeRedis")("lets it expire a day after its newest batch", async () => {
      await publish(bed, batch(1), run);
      await server.client.pexpire(run.state, 1000);
      await publish(bed, batch(2), run);

      const leftMs = await server.client.pttl(run.state);
      expect(leftMs).toBeGreaterThan(86_300_000);
      expect(leftMs).toBeLessThanOrEqual(86_400_000);
    });
  });

  it("calls no stream deleted that is new beside one that stands", async () => {
    const other = laneKeys("payments", "shop");
    await open(bed, "me");
    await open(bed, "me", other);
    await publish(bed, batch(1));

    expect(await publish(bed, batch(1, 1, entry("1a", "payments")), other)).toEqual(published);
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
    if (!isMulti) expect(await open(bed, "me")).toMatchObject({ epoch: 1, sequence: 1 });
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
    const { publishPort } = bed.connection;
    await open(bed, "me", keys);

    const first = await exactly(bed, publishPort.publish(keys, sent));
    const again = await exactly(bed, publishPort.publish(keys, sent));

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
    const further = entryOf(["event", "x", "key", "7"], stream);
    const whole = entryOf(["user", "7", "action", "log in"], stream);

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

  it.skipIf(isMulti)("names the newest entry of before for a batch of dead letters alone", async () => {
    const keys = laneKeys(stream, "shop", dead);
    const { publishPort } = bed.connection;
    await open(bed, "me", keys);
    const good = await exactly(bed, publishPort.publish(keys, batch(1, 1, entry("good"))));

    expect(await exactly(bed, publishPort.publish(keys, batch(2, 1, entry("bad", dead))))).toEqual(good);
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
    const none = { ...batch(1), position: "p9", ahead: "2 p10", entries: [] };
    await publish(bed, none);

    expect(await open(bed, "you")).toMatchObject({ sequence: 1, position: "p9", ahead: "2 p10" });
    expect(await contents(bed, stream)).toEqual([]);
  });

  it("fences a writer of the same epoch, when Redis has lost one of the two openings", async () => {
    await open(bed, "me");
    await publish(bed, batch(1));
    for (const key of [stream, lane.state, `${lane.state}:mark`]) await bed.del(key);
    await open(bed, "other");

    expect(await publish(bed, batch(1))).toEqual({ reply: "fenced", epoch: 1 });
    expect(await publish(bed, batch(2))).toEqual({ reply: "fenced", epoch: 1 });
    expect(await publish(bed, { ...batch(1), owner: "other" })).toEqual(published);
    expect(await publish(bed, batch(1))).toEqual({ reply: "fenced", epoch: 1 });
  });

  it("refuses to begin where a state has been and is gone, at each opening, until that is allowed", async () => {
    await open(bed, "me");
    await publish(bed, batch(1));
    await bed.del(lane.state);

    expect(await open(bed, "you")).toEqual({ reply: "gone" });
    expect(await open(bed, "other")).toEqual({ reply: "gone" });
    expect(await open(bed, "you", lane, true)).toEqual({ ...opened, epoch: 2, foreignEntries: 2 });
    expect(await publish(bed, batch(1, 2))).toEqual(published);
    expect(await open(bed, "other")).toMatchObject({ epoch: 3, sequence: 1 });
  });

  it("begins anew where the stream is gone with the state", async () => {
    await open(bed, "me");
    await publish(bed, batch(1));
    await bed.del(lane.state);
    await bed.del(stream);

    expect(await open(bed, "you")).toEqual({ ...opened, epoch: 2 });
  });

  it("refuses the same for computed streams, of which it cannot see whether they stand", async () => {
    const keys = computedLaneKeys("shop");
    await open(bed, "me", keys);
    await publish(bed, batch(1, 1, entry("a", "s1")), keys);
    await bed.del(keys.state);

    expect(await open(bed, "you", keys)).toEqual({ reply: "gone" });
    expect(await open(bed, "you", keys, true)).toEqual({ ...opened, epoch: 2 });
  });
});
