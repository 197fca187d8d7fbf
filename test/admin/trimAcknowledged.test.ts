import fc from "fast-check";
import { firstValueFrom } from "rxjs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { trimAcknowledged } from "../../src/admin/index.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";

const stream = "orders.events";
let redis: RedisServer;
beforeAll(async () => {
  // Nodes of few entries, so that the steps by whole nodes have work in small streams too.
  redis = await startRedis(["--stream-node-max-entries", "4"]);
});
afterAll(() => redis.stop());
beforeEach(() => redis.client.flushall());

function trim(approximate = false) {
  return firstValueFrom(trimAcknowledged({ connection: redis.client, stream }, { approximate }));
}

function add(count: number, first = 1): Promise<unknown> {
  const adding = redis.client.pipeline();
  for (let n = first; n < first + count; n += 1) adding.xadd(stream, `${n}-0`, "event", `{"id":"${n}"}`);
  return adding.exec();
}

async function entriesLeft(): Promise<number[]> {
  return (await redis.client.xrange(stream, "-", "+")).map(([id]) => numberOf(id));
}

function numberOf(entryId: string): number {
  return Number(entryId.split("-")[0]);
}

/** Reads new entries for a consumer; resolves with their numbers. */
async function read(group: string, consumer: string, count: number): Promise<number[]> {
  const reply = await redis.client.xreadgroup(
    "GROUP",
    group,
    consumer,
    "COUNT",
    count,
    "STREAMS",
    stream,
    ">",
  );
  const [[, entries]] = (reply as [[string, [string, unknown][]]] | null) ?? [["", []]];
  return entries.map(([id]) => numberOf(id));
}

/** What the test knows of a group without asking Redis. */
interface Group {
  lastRead: number;
  readonly pending: Set<number>;
}

/** A stream and its groups as they have to be. */
class Model {
  added = 0;
  readonly groups = new Map<string, Group>();
  readonly gone = new Set<number>();

  standing(): number[] {
    return numbers(1, this.added).filter((n) => !this.gone.has(n));
  }

  /** What some group has not read, or has pending. */
  needed(): number[] {
    return this.standing().filter((n) =>
      [...this.groups.values()].some(({ lastRead, pending }) => n > lastRead || pending.has(n)),
    );
  }

  /** Pending entries hold the stream also if they were deleted from it. */
  heldAt(): number | undefined {
    const pending = [...this.groups.values()].flatMap((group) => [...group.pending]);
    const all = [...this.needed(), ...pending];
    return all.length === 0 ? undefined : Math.min(...all);
  }
}

function numbers(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}

type Step = (model: Model) => Promise<void>;

const groupName = fc.constantFrom("a", "b", "c");
const adds = fc.integer({ min: 1, max: 12 }).map(
  (count): Step =>
    async (model) => {
      await add(count, model.added + 1);
      model.added += count;
    },
);
const makesGroup = fc.tuple(groupName, fc.constantFrom("first", "middle", "last")).map(
  ([name, start]): Step =>
    async (model) => {
      if (model.added === 0 || model.groups.has(name)) return;
      const lastRead = { first: 0, middle: Math.ceil(model.added / 2), last: model.added }[start];
      await redis.client.xgroup("CREATE", stream, name, `${lastRead}-0`);
      model.groups.set(name, { lastRead, pending: new Set() });
    },
);
const reads = fc.tuple(groupName, fc.constantFrom("c1", "c2"), fc.integer({ min: 1, max: 9 })).map(
  ([name, consumer, count]): Step =>
    async (model) => {
      const group = model.groups.get(name);
      if (group === undefined) return;
      for (const n of await read(name, consumer, count)) {
        group.lastRead = n;
        group.pending.add(n);
      }
    },
);
const acknowledges = fc.tuple(groupName, fc.array(fc.nat(15), { maxLength: 12 })).map(
  ([name, picks]): Step =>
    async (model) => {
      const group = model.groups.get(name);
      if (group === undefined) return;
      for (const pick of picks) {
        const n = [...group.pending][pick];
        if (n === undefined) continue;
        await redis.client.xack(stream, name, `${n}-0`);
        group.pending.delete(n);
      }
    },
);
const acknowledgesAll = groupName.map(
  (name): Step =>
    async (model) => {
      const group = model.groups.get(name);
      if (group === undefined || group.pending.size === 0) return;
      await redis.client.xack(stream, name, ...[...group.pending].map((n) => `${n}-0`));
      group.pending.clear();
    },
);
const deletes = fc.nat(60).map(
  (pick): Step =>
    async (model) => {
      const n = model.standing()[pick];
      if (n === undefined) return;
      await redis.client.xdel(stream, `${n}-0`);
      model.gone.add(n);
    },
);
const rewinds = fc.tuple(groupName, fc.nat(60)).map(
  ([name, to]): Step =>
    async (model) => {
      const group = model.groups.get(name);
      if (group === undefined || to > model.added) return;
      await redis.client.xgroup("SETID", stream, name, `${to}-0`);
      group.lastRead = to;
    },
);
const trims = fc.boolean().map(
  (approximate): Step =>
    async (model) => {
      if (model.added === 0) return;
      const before = model.standing();
      const needed = model.needed();

      const result = await trim(approximate);

      const left = await entriesLeft();
      expect(left).toEqual(expect.arrayContaining(needed));
      expect(left).toEqual(left.length === 0 ? [] : before.slice(-left.length));
      expect(result).toMatchObject({ removed: before.length - left.length, length: left.length });
      expect(result.groups).toBe(model.groups.size);
      if (model.groups.size === 0) expect(left).toEqual(before);
      else {
        const heldAt = model.heldAt();
        expect(result.heldAt).toBe(heldAt === undefined ? undefined : `${heldAt}-0`);
        const expected = before.filter((n) => heldAt !== undefined && n >= heldAt);
        if (!approximate) expect(left).toEqual(expected);
      }
      for (const n of before) if (!left.includes(n)) model.gone.add(n);
    },
);

describe("trimAcknowledged", () => {
  it("keeps all that a group has not read or has pending, and nothing before it, whatever the groups did", async () => {
    const step = fc.oneof(adds, makesGroup, reads, acknowledges, acknowledgesAll, deletes, rewinds, {
      arbitrary: trims,
      weight: 2,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        await redis.client.flushall();
        const model = new Model();
        for (const run of steps) await run(model);
      }),
      { numRuns: 300 },
    );
  });

  it("lets every group read every entry while it trims all the time", async () => {
    const entries = 5000;
    const groups = ["audit", "mail", "search"];
    for (const group of groups) await redis.client.xgroup("CREATE", stream, group, "0", "MKSTREAM");
    let isDone = false;
    let removed = 0;

    const producing = (async () => {
      for (let first = 1; first <= entries; first += 20) await add(20, first);
    })();
    const consuming = groups.map(async (group, speed) => {
      const seen: number[] = [];
      while (seen.length < entries) {
        const some = await read(group, "worker", 5 + 10 * speed);
        // In an order of its own, so that gaps come and go among what is pending.
        for (const n of some.toReversed()) {
          expect(await redis.client.xrange(stream, `${n}-0`, `${n}-0`)).toHaveLength(1);
          await redis.client.xack(stream, group, `${n}-0`);
        }
        seen.push(...some);
      }
      return seen;
    });
    const trimming = (async () => {
      while (!isDone) removed += (await trim()).removed;
    })();

    const seen = await Promise.all(consuming);
    isDone = true;
    await Promise.all([producing, trimming]);
    removed += (await trim()).removed;

    for (const numbersSeen of seen) expect(numbersSeen).toEqual(numbers(1, entries));
    expect(removed).toBe(entries);
    expect(await entriesLeft()).toEqual([]);
  });

  it("removes nothing without a group, and says that there is none", async () => {
    await add(10);

    expect(await trim()).toEqual({
      removed: 0,
      length: 10,
      groups: 0,
      heldBy: undefined,
      heldAt: undefined,
    });
  });

  it("names the group that is furthest behind, and at which entry", async () => {
    await add(30);
    for (const group of ["slow", "fast"]) await redis.client.xgroup("CREATE", stream, group, "0");
    for (const n of await read("slow", "c", 12))
      if (n !== 9) await redis.client.xack(stream, "slow", `${n}-0`);
    for (const n of await read("fast", "c", 30)) await redis.client.xack(stream, "fast", `${n}-0`);

    expect(await trim()).toMatchObject({ removed: 8, length: 22, heldBy: "slow", heldAt: "9-0" });
  });

  it("compares entry IDs beyond what Lua counts exactly", async () => {
    const last = "18446744073709551615";
    const ids = [
      `9-${last.slice(0, -1)}2`,
      `9-${last.slice(0, -1)}3`,
      `9-${last.slice(0, -1)}4`,
      `${last}-${last}`,
    ];
    const [first = "", second = ""] = ids;
    for (const id of ids) await redis.client.xadd(stream, id, "event", "{}");
    // Groups are asked in the order of their names.
    await redis.client.xgroup("CREATE", stream, "ahead", second);
    await redis.client.xgroup("CREATE", stream, "behind", first);

    expect(await trim()).toMatchObject({ removed: 1, heldBy: "behind", heldAt: second });
    for (const group of ["ahead", "behind"])
      await redis.client.xgroup("SETID", stream, group, `${last}-${last}`);
    expect(await trim()).toMatchObject({ removed: 3, length: 0, heldBy: undefined });
  });

  it("removes more than one step may, and fails where there is no stream", async () => {
    await add(25_000);
    await redis.client.xgroup("CREATE", stream, "done", "24990-0");

    expect(await trim()).toMatchObject({ removed: 24_990, length: 10 });
    await redis.client.flushall();
    await expect(trim()).rejects.toMatchObject({
      _tag: "Refused",
      message: expect.stringContaining("no such key"),
    });
  });
});
