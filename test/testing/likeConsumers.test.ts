import fc from "fast-check";
import { ignoreElements, lastValueFrom, type Observable, VirtualTimeScheduler } from "rxjs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { isRxaddError } from "../../src/index.ts";
import { type GroupPort, openGroup } from "../../src/redis/group/groupConnection.ts";
import type { Settlement } from "../../src/redis/group/settlement.ts";
import { openFake } from "../../src/redis/publish/fakeServer.ts";
import { laneKeys } from "../../src/redis/publish/publishPort.ts";
import { openReadConnection, type ReadConnection } from "../../src/redis/read/readConnection.ts";
import { fakeRedis } from "../../src/testing/index.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import { entry } from "./publisherBeds.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

const streams = ["s", "t"];
const dead = "dead";
/** Each history begins with groups that are there. */
const beginning: readonly Command[] = [1, 2].map((who) => ({ do: "create", who, stream: "s", start: "0-0" }));

const consumers = [
  { group: "g", consumer: "a", claimIdleMs: 60_000 },
  { group: "g", consumer: "b", claimIdleMs: 90_000 },
  { group: "h", consumer: "a", claimIdleMs: 60_000 },
];

/** What happens; who does it, and of which entries, is counted. */
type Command =
  | { readonly do: "add"; readonly stream: string; readonly text: string }
  /** By a sink that trims: another entry, of which with those before so many are kept. */
  | { readonly do: "trim"; readonly stream: string; readonly keep: number }
  | { readonly do: "del"; readonly stream: string }
  | { readonly do: "create"; readonly who: number; readonly stream: string; readonly start: "0-0" | "$" }
  | {
      readonly do: "readNew";
      readonly who: number;
      readonly streams: readonly string[];
      readonly count: number;
    }
  | {
      readonly do: "readPending";
      readonly who: number;
      readonly stream: string;
      readonly which: "own" | "stale";
      readonly entries: number;
      readonly bytes: number;
    }
  | {
      readonly do: "settle";
      readonly who: number;
      readonly stream: string;
      readonly asked: readonly (readonly [entry: number, settlement: SettlementOf])[];
      readonly keep: number;
      /** Whether the batch before is sent again. */
      readonly isAgain: boolean;
    }
  | { readonly do: "leave"; readonly who: number; readonly stream: string }
  | { readonly do: "read"; readonly stream: string; readonly after: number };

type SettlementOf = (entryId: string) => Settlement;

const stream = fc.constantFrom("s", "s", "s", "s", "t");
const who = fc.nat({ max: consumers.length - 1 });
const removes = fc.constantFrom(false, false, true);

const settlement: fc.Arbitrary<SettlementOf> = fc.oneof(
  fc
    .record({
      mark: fc.constantFrom("", "", "m1", "m2", "m3"),
      effects: fc.constantFrom([], [], [["RPUSH", "log", "one"] as const], [["INCR", "n"] as const]),
      removes,
    })
    .map(
      (how) =>
        (entryId: string): Settlement => ({ kind: "acknowledge", entryId, ...how }),
    ),
  fc.constant((entryId: string): Settlement => ({ kind: "keepAlive", entryId })),
  fc.integer({ min: 2, max: 5 }).map(
    (deliveries) =>
      (entryId: string): Settlement => ({ kind: "start", entryId, deliveries }),
  ),
  fc.integer({ min: 1, max: 5 }).map(
    (deliveries) =>
      (entryId: string): Settlement => ({ kind: "handBack", entryId, idleMs: 86_400_000, deliveries }),
  ),
  removes.map(
    (removes) =>
      (entryId: string): Settlement => ({
        kind: "deadLetter",
        entryId,
        deadLetters: dead,
        fields: ["entry", entryId],
        removes,
      }),
  ),
);

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 16,
    arbitrary: fc.record({ do: fc.constant("add" as const), stream, text: fc.constantFrom("one", "three") }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("trim" as const), stream, keep: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("del" as const), stream }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("create" as const),
      who,
      stream,
      start: fc.constantFrom("0-0" as const, "0-0" as const, "$" as const),
    }),
  },
  {
    weight: 20,
    arbitrary: fc.record({
      do: fc.constant("readNew" as const),
      who,
      streams: fc.constantFrom(["s"], ["s"], ["t"], ["s", "t"]),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 16,
    arbitrary: fc.record({
      do: fc.constant("readPending" as const),
      who,
      stream,
      which: fc.constantFrom("own" as const, "stale" as const),
      entries: fc.integer({ min: 1, max: 3 }),
      bytes: fc.constantFrom(9, 1000),
    }),
  },
  {
    weight: 30,
    arbitrary: fc.record({
      do: fc.constant("settle" as const),
      who,
      stream,
      asked: fc.array(fc.tuple(fc.nat({ max: 3 }), settlement), { minLength: 1, maxLength: 5 }),
      keep: fc.integer({ min: 1, max: 2 }),
      isAgain: fc.constantFrom(false, false, false, true),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("leave" as const), who, stream }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("read" as const), stream, after: fc.nat({ max: 6 }) }),
  },
);

/** A server that consumers read from. */
interface Bed {
  readonly ports: readonly GroupPort[];
  readonly reader: ReadConnection;
  readonly add: (stream: string, text: string, entryId: string | undefined) => Promise<string>;
  readonly trim: (stream: string, keep: number, entryId: string | undefined) => Promise<string>;
  readonly del: (stream: string) => Promise<unknown>;
  /** The dead letters, and what handlers have written. */
  readonly written: () => Promise<unknown>;
  /** Lets what was sent be done, where time does not go by itself. */
  readonly flush: () => void;
  readonly close: () => void;
}

const settings = {
  name: "like",
  blockMs: 1,
  removeIdleMs: Number.POSITIVE_INFINITY,
  connectTimeoutMs: 1000,
  sendTimeoutMs: 1000,
  tls: undefined,
  sentinel: undefined,
};

function inMemory(): Bed {
  const clock = new VirtualTimeScheduler();
  const redis = fakeRedis({ latencyMs: 0, scheduler: clock });
  const at = { connection: redis };
  let sequence = 0;
  return {
    ports: consumers.map((one) => openGroup({ ...settings, ...one, server: at })),
    reader: openReadConnection({ ...settings, server: at }),
    add: async (stream, text) => redis.xadd(stream, "event", text),
    trim: async (stream, maxLen) => {
      const { publishPort } = redis[openFake].publishing({ trim: { maxLen, approximate: false } });
      sequence += 1;
      const lane = laneKeys(stream, `sink ${sequence}`);
      const opening = lastValueFrom(publishPort.open(lane, "me", true));
      clock.flush();
      await opening;
      const batch = {
        owner: "me",
        epoch: 1,
        sequence: 1,
        position: "",
        ahead: "",
        entries: [entry("new", stream)],
      };
      const publishing = lastValueFrom(publishPort.publish(lane, batch));
      clock.flush();
      const reply = await publishing;
      return "entryId" in reply ? reply.entryId : "";
    },
    del: async (stream) => redis.del(stream),
    written: async () => [
      redis.entries(dead).map(({ content }) => content),
      redis.effects.filter(([command]) => command === "RPUSH").length,
      redis.effects.filter(([command]) => command === "INCR").length,
    ],
    flush: () => clock.flush(),
    close: () => {},
  };
}

function onServer({ uri, client }: RedisServer): Bed {
  const ports = consumers.map((one) => openGroup({ ...settings, ...one, server: { uri } }));
  const reader = openReadConnection({ ...settings, server: { uri } });
  const add = async (stream: string, text: string, entryId = "*") =>
    `${await client.xadd(stream, entryId, "event", text)}`;
  return {
    ports,
    reader,
    add,
    trim: async (stream, keep, entryId) => {
      const id = await add(stream, "new", entryId);
      await client.xtrim(stream, "MAXLEN", keep);
      return id;
    },
    del: (stream) => client.del(stream),
    written: async () => [
      (await client.xrange(dead, "-", "+")).map(([, content]) => content),
      await client.llen("log"),
      Number(await client.get("n")),
    ],
    flush: () => {},
    close: () => {
      for (const port of [...ports, reader]) port.unsubscribe();
    },
  };
}

/** What came of it; errors by what they mean. */
async function answer({ flush }: Bed, asked$: Observable<unknown>): Promise<unknown> {
  const asked = lastValueFrom(asked$, { defaultValue: "nothing" });
  flush();
  try {
    return readable(await asked);
  } catch (error) {
    if (!isRxaddError(error)) throw error;
    return {
      refused: error._tag,
      says: /^[A-Z]+/.exec(error.cause instanceof Error ? error.cause.message : "")?.[0],
    };
  }
}

/** Bytes as text, errors as what they are. */
function readable(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString();
  if (isRxaddError(value)) return value._tag;
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, readable(one)]));
  return value;
}

/** What is pending, in as many reads as it takes. */
async function allPending(
  bed: Bed,
  port: GroupPort,
  { which, stream, entries, bytes }: Extract<Command, { do: "readPending" }>,
) {
  const pages: unknown[] = [];
  let after: string | undefined = "";
  while (after !== undefined && pages.length < 50) {
    const page: unknown = await answer(bed, port.readPending(which, stream, after, { entries, bytes }));
    pages.push(page);
    after =
      typeof page === "object" && page !== null && "next" in page && typeof page.next === "string"
        ? page.next
        : undefined;
  }
  return pages;
}

/** How streams and groups stand, and what those remember. */
function standings(bed: Bed): Promise<readonly unknown[]> {
  const asked = streams.flatMap((name) => [
    bed.reader.standing(name),
    // One of each group.
    ...bed.ports.slice(1).flatMap((port) => [port.progress(name), port.processed(name, ["m1", "m2", "m3"])]),
  ]);
  return Promise.all(asked.map((one) => answer(bed, one)));
}

/** All answers, and what there is in the end. Where a server in memory has given IDs, the other one is told them. */
async function run(
  bed: Bed,
  commands: readonly Command[],
  ids: Map<number, string>,
): Promise<readonly unknown[]> {
  const known = new Map<string, string[]>(streams.map((stream) => [stream, []]));
  const answers: unknown[] = [];
  let last: { readonly settlements: readonly Settlement[]; readonly token: string } | undefined;
  for (const [index, step] of commands.entries()) {
    const port = "who" in step ? bed.ports[step.who] : undefined;
    switch (step.do) {
      case "add":
      case "trim": {
        const given = ids.get(index);
        const entryId =
          step.do === "add"
            ? await bed.add(step.stream, step.text, given)
            : await bed.trim(step.stream, step.keep, given);
        ids.set(index, entryId);
        known.get(step.stream)?.push(entryId);
        break;
      }
      case "del":
        await bed.del(step.stream);
        break;
      case "create":
        if (port) answers.push(await answer(bed, port.create(step.stream, step.start)));
        break;
      case "readNew":
        if (port) answers.push(await answer(bed, port.readNew(step.streams, step.count, 1)));
        break;
      case "readPending":
        if (port) answers.push(await allPending(bed, port, step));
        break;
      case "settle": {
        const entries = known.get(step.stream) ?? [];
        const asked = step.asked.map(([entry, of]) => of(entries.at(-1 - entry) ?? "1-1"));
        const sent = step.isAgain && last !== undefined ? last : { settlements: asked, token: `t${index}` };
        last = sent;
        if (port)
          answers.push(await answer(bed, port.settle(step.stream, sent.settlements, step.keep, sent.token)));
        break;
      }
      case "leave":
        if (port) answers.push(await answer(bed, port.leave(step.stream).pipe(ignoreElements())));
        break;
      case "read":
        answers.push(await answer(bed, bed.reader.read(new Map([[step.stream, `0-${step.after}`]]), 3)));
    }
    answers.push(await standings(bed));
  }
  return [...answers, await bed.written()];
}

it("fakeRedis answers consumers as Redis does, whatever they and others do in whatever order", {
  timeout: 120_000,
}, async () => {
  const real = onServer(server);
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 40, size: "max" }), async (commands) => {
        await server.client.flushall();
        const ids = new Map<number, string>();
        const all = [...beginning, ...commands];
        const fake = await run(inMemory(), all, ids);
        expect(fake).toEqual(await run(real, all, ids));
      }),
      { numRuns: 200 },
    );
  } finally {
    real.close();
  }
});
