import fc from "fast-check";
import type { Cluster, Redis } from "ioredis";
import { from, lastValueFrom } from "rxjs";
import { describe, expect, it } from "vitest";
import { partitionOf, redisSink, type SinkOptions } from "../../src/index.ts";
import { awkwardWord } from "../kit/load/awkwardWords.ts";
import { aCluster } from "../kit/servers/aCluster.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

type Word = string | Buffer;
type Asked = "encode" | "more" | "stream";

interface Given {
  readonly payload: Word;
  readonly more: Word;
  readonly stream: "one" | "two";
  /** What throws when it is asked for. */
  readonly fails: Asked | undefined;
}

const given: fc.Arbitrary<Given> = fc.record({
  payload: awkwardWord,
  more: awkwardWord,
  stream: fc.constantFrom("one", "two"),
  fails: fc.option(fc.constantFrom("encode", "more", "stream"), { freq: 3, nil: undefined }),
});

const maxEventBytes = 20_000;
/** Where each function gives its bytes, over those of the one before. */
const scratch = Buffer.alloc(300_000);

function ask(what: Asked, read: (event: Given) => Word): (event: Given) => Word {
  return (event) => {
    scratch.fill("?");
    if (event.fails === what) throw new Error("boom");
    const word = read(event);
    return typeof word === "string" ? word : scratch.subarray(0, word.copy(scratch));
  };
}

const encode = ask("encode", ({ payload }) => payload);
const more = ask("more", ({ more }) => more);

/** What is asked for an entry, and what it holds. */
interface Form {
  readonly event: SinkOptions<Given, number>["event"];
  readonly asks: readonly Asked[];
  readonly wordsOf: (event: Given) => readonly Word[];
}

const forms: Readonly<Record<string, Form>> = {
  alone: { event: { encode }, asks: ["encode"], wordsOf: ({ payload }) => ["event", payload] },
  "with a field": {
    event: { encode, fields: (event) => ({ more: more(event) }) },
    asks: ["encode", "more"],
    wordsOf: ({ payload, more }) => ["event", payload, "more", more],
  },
  "as content": {
    event: { encode, content: (event) => ["", more(event)] },
    asks: ["more"],
    wordsOf: ({ more }) => ["", more],
  },
};

/** How events get to Redis, and to which streams of a run. */
interface Way {
  readonly settings: (run: string) => Partial<SinkOptions<Given, number>>;
  readonly streamOf: (run: string, event: Given) => string;
  readonly asks: readonly Asked[];
}

const toOne: Way = {
  settings: (run) => ({ stream: run }),
  streamOf: (run) => run,
  asks: [],
};
const toTwo: Way = {
  settings: (run) => ({ stream: (event) => `${run}.${ask("stream", ({ stream }) => stream)(event)}` }),
  streamOf: (run, { stream }) => `${run}.${stream}`,
  asks: ["stream"],
};
const partitioned: Way = {
  settings: (run) => ({ stream: run, partitions: 3, key: ({ stream }) => stream }),
  streamOf: (run, { stream }) => partitionOf(run, stream, 3),
  asks: [],
};

function by(publish: "script" | "multi", way: Way): Way {
  return { ...way, settings: (run) => ({ ...way.settings(run), publish }) };
}

const ways: readonly (readonly [name: string, way: Way])[] = [
  ["by script to one stream", toOne],
  ["by script to several streams", toTwo],
  ["by script to partitions", partitioned],
  ["by MULTI to one stream", by("multi", toOne)],
  ["by MULTI to several streams", by("multi", toTwo)],
];

const bytesOf = (word: Word) => Buffer.from(word as string);
const shown = (words: readonly Word[]) => words.map((word) => bytesOf(word).toString("base64")).join(" ");

/** Without the name `event`, which each entry has. */
function sizeOf([name, ...words]: readonly Word[]): number {
  return Buffer.concat([name === "event" ? "" : (name ?? ""), ...words].map(bytesOf)).length;
}

let runs = 0;

async function publishes(
  way: Way,
  form: Form,
  events: readonly Given[],
  maxEvents: number,
  redis: Redis | Cluster,
) {
  runs += 1;
  const run = `run${runs}`;
  const dead = `${run}.dead`;
  const asks = [...form.asks, ...way.asks];
  const isPublished = (event: Given) =>
    !asks.some((what) => event.fails === what) && sizeOf(form.wordsOf(event)) <= maxEventBytes;
  const sink = redisSink<Given, number>({
    ...{ id: run, connection: redis, stream: run, ...way.settings(run) },
    ...{ event: form.event ?? {}, maxEventBytes, deadLetters: { stream: dead }, batch: { maxEvents } },
  } as SinkOptions<Given, number>);

  await lastValueFrom(from(events).pipe(sink));

  for (const stream of new Set(events.map((event) => way.streamOf(run, event)))) {
    const expected = events.filter((event) => way.streamOf(run, event) === stream && isPublished(event));
    const found = await redis.xrangeBuffer(stream, "-", "+");
    expect(found.map(([, words]) => shown(words))).toEqual(
      expected.map((event) => shown(form.wordsOf(event))),
    );
  }
  const expected = events.filter((event) => !isPublished(event));
  const letters = await redis.xrangeBuffer(dead, "-", "+");
  expect(letters).toHaveLength(expected.length);
  for (const [index, { payload, fails }] of expected.entries()) {
    const [, original] = letters[index]?.[1] ?? [];
    if (fails !== "encode") expect(original?.equals(bytesOf(payload).subarray(0, maxEventBytes))).toBe(true);
  }
}

function property(way: Way, redis: () => Redis | Cluster): Promise<void> {
  return fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...Object.values(forms)),
      fc.array(given, { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 20 }),
      (form, events, maxEvents) => publishes(way, form, events, maxEvents, redis()),
    ),
    { numRuns: 40 },
  );
}

describe("what an event's functions give", () => {
  const server = emptyRedis();

  it.each(ways)("is in Redis byte for byte %s, and what fails harms no neighbour", async (_name, way) => {
    await property(way, () => server.client);
  });
});

describe("in a Cluster", () => {
  const bed = aCluster();

  it("what an event's functions give is in Redis byte for byte, and what fails harms no neighbour", async () => {
    await property(toTwo, () => bed().client);
  });
});
