import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { argsOf, type Effect, type Settlement } from "../../../src/redis/group/settlement.ts";
import { settleScript } from "../../../src/redis/group/settleScript.ts";
import { script } from "../../../src/redis/wire/script.ts";
import { emptyRedis } from "../../kit/servers/emptyRedis.ts";
import { settledOneByOne } from "./oneByOne.ts";

const redis = emptyRedis();

/** Their order as texts is another one than that of the entries. */
const ids = ["1-9", "1-10", "1-11", "2-1", "9-0", "10-0", "10-3", "11-0", "100-0", "100-1"];

/** What has become of an entry before: who has it, whether it was acknowledged, whether it is in the stream. */
interface Entry {
  readonly owner: "a" | "b";
  readonly isAcknowledged: boolean;
  readonly isDeleted: boolean;
}

/** What is settled, of the entry that stands there in `ids`. */
type Asked =
  | {
      readonly kind: "acknowledge";
      readonly mark: string;
      readonly effects: readonly string[];
      readonly removes: boolean;
    }
  | { readonly kind: "keepAlive" | "start" | "handBack" }
  | { readonly kind: "deadLetter"; readonly isRefused: boolean; readonly removes: boolean };

/** One call. */
interface Call {
  readonly consumer: "a" | "b";
  readonly keep: number;
  readonly token: string;
  readonly all: readonly { readonly at: number; readonly asked: Asked }[];
}

interface World {
  readonly entries: readonly Entry[];
  readonly marked: readonly string[];
  /** Another group of the stream: how many it has read, and which of these it has acknowledged; undefined: there is none. */
  readonly other: { readonly read: number; readonly acknowledged: readonly number[] } | undefined;
  readonly calls: readonly Call[];
}

const marks = ["m1", "m2", "m3", "m4", "m5"];

/** By name: some change what others go by, such as the entry `other`, or a mark that is not its own. */
const effectsOf: Readonly<Record<string, (stream: string, other: string, otherMark: string) => Effect>> = {
  counts: (stream) => ["INCR", `${stream}:total`],
  logs: (stream, other) => ["RPUSH", `${stream}:log`, other],
  isRefused: (stream) => ["INCR", `${stream}:text`],
  isTooLong: (stream) => ["RPUSH", `${stream}:log`, ...Array.from({ length: 7_900 }, () => "x")],
  acknowledges: (stream, other) => ["XACK", stream, "g", other],
  gives: (stream, other) => ["XCLAIM", stream, "g", "b", "0", other, "JUSTID"],
  takes: (stream, other) => ["XCLAIM", stream, "g", "a", "0", other, "JUSTID"],
  deletes: (stream, other) => ["XDEL", stream, other],
  marks: (stream, _, otherMark) => ["ZADD", `${stream}:marks`, "1", otherMark],
  forgets: (stream) => ["DEL", `${stream}:marks`],
  spoils: (stream) => ["SET", `${stream}:marks`, "text"],
  destroys: (stream) => ["XGROUP", "DESTROY", stream, "g"],
};

const asked: fc.Arbitrary<Asked> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("acknowledge" as const),
      mark: fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...marks) }, fc.constant("")),
      effects: fc.oneof(
        { weight: 3, arbitrary: fc.constant([]) },
        fc.array(fc.constantFrom(...Object.keys(effectsOf)), { maxLength: 2 }),
      ),
      removes: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("keepAlive", "start", "handBack") }) },
  fc.record({ kind: fc.constant("deadLetter" as const), isRefused: fc.boolean(), removes: fc.boolean() }),
);

const worlds: fc.Arbitrary<World> = fc.record({
  entries: fc.array(
    fc.record({
      owner: fc.constantFrom("a", "a", "a", "b"),
      isAcknowledged: fc.constantFrom(false, false, false, true),
      isDeleted: fc.constantFrom(false, false, true),
    }),
    { minLength: 1, maxLength: ids.length },
  ),
  marked: fc.subarray(marks),
  other: fc.option(
    fc.record({ read: fc.nat(ids.length), acknowledged: fc.subarray(ids.map((_, index) => index)) }),
    { nil: undefined },
  ),
  calls: fc.array(
    fc.record({
      consumer: fc.constantFrom("a", "a", "b"),
      keep: fc.integer({ min: 1, max: 5 }),
      token: fc.constantFrom("", "t:1", "t:2"),
      all: fc.oneof(
        fc.array(fc.record({ at: fc.nat(ids.length - 1), asked }), { minLength: 1, maxLength: 12 }),
        // All of them, in their order, as one consumer does.
        fc
          .array(asked, { minLength: ids.length, maxLength: ids.length })
          .map((all) => all.map((asked, at) => ({ at, asked }))),
      ),
    }),
    { minLength: 1, maxLength: 3 },
  ),
});

function settlementOf(stream: string, at: number, asked: Asked): Settlement {
  const entryId = ids[at] ?? "";
  switch (asked.kind) {
    case "acknowledge": {
      const other = ids[(at + 1) % ids.length] ?? "";
      const { mark } = asked;
      const otherMark = marks[(marks.indexOf(mark) + 1) % marks.length] ?? "";
      const effects = asked.effects.map(
        (name): Effect => effectsOf[name]?.(stream, other, otherMark) ?? [name, ""],
      );
      return { kind: "acknowledge", entryId, mark, effects, removes: asked.removes };
    }
    case "start":
      return { kind: "start", entryId, deliveries: at + 3 };
    case "handBack":
      return { kind: "handBack", entryId, idleMs: 86_400_000, deliveries: at + 2 };
    case "keepAlive":
      return { kind: "keepAlive", entryId };
    case "deadLetter":
      return {
        kind: "deadLetter",
        entryId,
        deadLetters: `${stream}:${asked.isRefused ? "text" : "dead"}`,
        fields: ["entry", Buffer.from(entryId)],
        removes: asked.removes,
      };
  }
}

const keysOf = (stream: string) => ["", ":marks", ":memory", ":consumers"].map((end) => `${stream}${end}`);

async function make(stream: string, { entries, marked, other }: World): Promise<void> {
  const { client } = redis;
  const setUp = client.pipeline();
  setUp.xgroup("CREATE", stream, "g", "0", "MKSTREAM").set(`${stream}:text`, "text");
  setUp.hset(`${stream}:consumers`, "a", "30000", "b", "60000 5");
  marked.forEach((mark, index) => {
    setUp.zadd(`${stream}:marks`, index, mark);
  });
  entries.forEach(({ owner }, index) => {
    setUp.xadd(stream, ids[index] ?? "", "event", "x");
    setUp.xreadgroup("GROUP", "g", owner, "COUNT", 1, "STREAMS", stream, ">");
  });
  entries.forEach(({ isAcknowledged, isDeleted }, index) => {
    if (isAcknowledged) setUp.xack(stream, "g", ids[index] ?? "");
    if (isDeleted) setUp.xdel(stream, ids[index] ?? "");
  });
  if (other !== undefined) {
    setUp.xgroup("CREATE", stream, "h", "0");
    if (other.read > 0) setUp.xreadgroup("GROUP", "h", "c", "COUNT", other.read, "STREAMS", stream, ">");
    for (const index of other.acknowledged) setUp.xack(stream, "h", ids[index] ?? "");
  }
  await setUp.exec();
}

/** All that there is, without times and names that differ from one to the other. */
async function stateOf(stream: string): Promise<unknown> {
  const looks = redis.client
    .pipeline()
    .xrange(stream, "-", "+")
    .call("ZRANGE", `${stream}:marks`, "0", "-1")
    .hgetall(`${stream}:consumers`)
    .get(`${stream}:memory`)
    .ttl(`${stream}:memory`)
    .get(`${stream}:total`)
    .lrange(`${stream}:log`, 0, -1)
    .xrange(`${stream}:dead`, "-", "+")
    .xpending(stream, "g", "-", "+", 100);
  const found = (await looks.exec())?.map(([error, value]) => error?.message.split(" ", 1) ?? value) ?? [];
  const [entries, marked, consumers, memory, ttl, total, log, dead, pending] = found;
  return {
    ...{ entries, marked, total, log, pending: pendingOf(pending), ttl: Number(ttl) > 0 },
    memory: typeof memory === "string" ? codesOf(memory) : memory,
    alive: Object.entries(consumers ?? {}).map(([name, said]) => [
      name,
      String(said).replace(/ \d{13}/, " now"),
    ]),
    dead: (dead as [string, string[]][]).map(([, fields]) => fields),
  };
}

function pendingOf(reply: unknown): unknown {
  const rows = reply as [id: string, owner: string, idleMs: number, deliveries: number][];
  return rows.map(([id, owner, idleMs, deliveries]) => [id, owner, Number(idleMs) > 3_600_000, deliveries]);
}

/** Of an error only its code: which script, and which of its lines, is something else. */
function codesOf(outcomes: string): string {
  return outcomes.replace(/^(ERR a command|[A-Z]+).*$/gm, "$1");
}

type Settle = (
  keys: readonly string[],
  start: readonly string[],
  all: readonly Settlement[],
) => Promise<unknown>;

interface After {
  readonly told: string;
  readonly state: unknown;
}

/**
 * What each call answers, and what is there after it. It ends with one that fails as a whole, as a script stops in its
 * middle where the group or the kind of a key is not what it was.
 */
async function history(stream: string, world: World, settle: Settle): Promise<readonly After[]> {
  await make(stream, world);
  const after: After[] = [];
  for (const { consumer, keep, token, all } of world.calls) {
    const settlements = all.map(({ at, asked }) => settlementOf(stream, at, asked));
    try {
      const told = await settle(keysOf(stream), ["g", consumer, `${keep}`, token], settlements);
      after.push({ told: codesOf(String(told)), state: await stateOf(stream) });
    } catch (error) {
      return [...after, { told: codesOf((error as Error).message), state: "failed" }];
    }
  }
  return after;
}

const inRuns: Settle = (keys, start, all) =>
  script(redis.client, settleScript)(keys, [...start, ...argsOf(all)]);
const oneByOne: Settle = (keys, start, all) => settledOneByOne(redis.client, keys, start, all);

describe("settleScript", () => {
  it("settles runs as it would settle each by itself, whatever was pending, marked, refused or asked before", async () => {
    const told = new Set<string>();
    const property = fc.asyncProperty(worlds, async (world) => {
      await redis.client.flushall();
      const expected = await history("{s}:1", world, oneByOne);
      const found = await history("{s}:2", world, inRuns);
      for (const { told: lines } of expected) for (const line of lines.split("\n")) told.add(line);
      expect(JSON.stringify(found, undefined, 1).replaceAll("{s}:2", "{s}:1")).toEqual(
        JSON.stringify(expected, undefined, 1),
      );
    });
    await fc.assert(property, { numRuns: 400 });

    // It has tried what it is there for.
    expect([...told].sort()).toEqual([
      ...["ERR", "ERR a command", "NOGROUP", "WRONGTYPE", "acknowledged", "another's", "gone", "kept"],
    ]);
  });

  it("settles more than Lua's stack holds", async () => {
    const { client } = redis;
    const all = Array.from({ length: 9_000 }, (_, index) => `1-${index + 1}`);
    const fill = client.pipeline().xgroup("CREATE", "s", "g", "0", "MKSTREAM");
    for (const id of all) fill.xadd("s", id, "event", "x");
    await fill.xreadgroup("GROUP", "g", "a", "STREAMS", "s", ">").exec();
    const settlements = all.map(
      (entryId): Settlement => ({
        kind: "acknowledge",
        entryId,
        mark: `m${entryId}`,
        effects: [],
        removes: false,
      }),
    );

    const outcomes = await inRuns(keysOf("s"), ["g", "a", "8000", ""], settlements);

    expect(new Set(String(outcomes).split("\n"))).toEqual(new Set(["acknowledged"]));
    expect(String(outcomes).split("\n")).toHaveLength(9_000);
    expect([await client.xpending("s", "g"), await client.zcard("s:marks")]).toEqual([
      [0, null, null, null],
      8_000,
    ]);
  });
});
