import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  computedLaneKeys,
  type EntryContent,
  type LaneKeys,
  laneKeys,
} from "../../src/redis/publish/publishPort.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import { type Bed, contents, entry, entryOf, fake, open, publish, real, reset } from "./publisherBeds.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

const stream = "orders";
const dead = "orders.dead";

/** The lanes of two sinks on one stream, the first with dead letters, and of one with computed streams. */
const sinks = [
  { keys: laneKeys(stream, "shop", dead), streams: [stream, dead] },
  { keys: laneKeys(stream, "till"), streams: [stream] },
  { keys: computedLaneKeys("shop", dead), streams: ["s1", "s2", dead] },
] as const;
const allStreams = [stream, dead, "s1", "s2"];

/** Where a writer believes that its lane stands. */
interface Standing {
  readonly epoch: number;
  readonly sequence: number;
  /** Who has opened it. */
  readonly owner: string;
}

type Command =
  | { readonly do: "open"; readonly keys: LaneKeys; readonly owner: string; readonly adopt: boolean }
  | {
      readonly do: "publish";
      readonly keys: LaneKeys;
      /** Its number, counted from where the writer believes that the lane stands: the next one is 0 and 1. */
      readonly by: Pick<Standing, "epoch" | "sequence">;
      /** Whether somebody else sends it, whatever its numbers. */
      readonly isOfAnother: boolean;
      readonly position: string;
      readonly ahead: string;
      readonly entries: readonly EntryContent[];
    }
  | { readonly do: "del" | "occupy" | "add"; readonly key: string }
  | { readonly do: "refuse"; readonly why: "memory" | undefined };

const sink = fc.constantFrom(...sinks);
const key = fc.constantFrom(
  ...allStreams,
  ...sinks.flatMap(({ keys: { state, mark = state } }) => [state, mark]),
);

const opening = fc.record({
  do: fc.constant("open" as const),
  keys: sink.map(({ keys }) => keys),
  owner: fc.constantFrom("me", "you"),
  adopt: fc.constantFrom(false, false, true),
});

const publishing = sink.chain(({ keys, streams }) =>
  fc.record({
    do: fc.constant("publish" as const),
    keys: fc.constant(keys),
    by: fc.record({
      epoch: fc.constantFrom(0, 0, 0, 0, -1, 1),
      sequence: fc.constantFrom(1, 1, 1, 0, -1, 2),
    }),
    isOfAnother: fc.constantFrom(false, false, false, false, true),
    position: fc.constantFrom("", "1", '"a b"'),
    ahead: fc.constantFrom("", "2 7"),
    entries: fc.array(
      fc
        .record({
          where: fc.constantFrom<string>(...streams),
          text: fc.string({ unit: "grapheme" }),
          extra: fc.constantFrom(undefined, ["key", "7"]),
        })
        .map(({ where, text, extra }) =>
          extra === undefined
            ? { ...entry(text, where), bytes: Buffer.byteLength(text) }
            : entryOf(["event", text, ...extra], where),
        ),
      { maxLength: 3 },
    ),
  }),
);

const interference = fc.record({ do: fc.constantFrom("del" as const, "occupy" as const), key });
const foreign = fc.record({ do: fc.constant("add" as const), key: fc.constantFrom(...allStreams) });
const refusing = fc.record({
  do: fc.constant("refuse" as const),
  why: fc.constantFrom("memory" as const, undefined),
});

/** Publishing comes most often, so that runs get somewhere. */
const steps = [
  { weight: 4, arbitrary: opening },
  { weight: 12, arbitrary: publishing },
  { weight: 1, arbitrary: interference },
  { weight: 1, arbitrary: foreign },
] as const;

/** What writers know of their lanes. */
type Writers = Map<LaneKeys, Standing>;

async function publishAhead(
  bed: Bed,
  writers: Writers,
  { keys, by, isOfAnother, ahead, position, entries }: Extract<Command, { readonly do: "publish" }>,
): Promise<object> {
  const at = writers.get(keys) ?? { epoch: 1, sequence: 0, owner: "me" };
  const { epoch, sequence } = at;
  const owner = isOfAnother ? "another" : at.owner;
  const numbers = { owner, epoch: epoch + by.epoch, sequence: sequence + by.sequence };
  const sent = { ...numbers, position, ahead, entries };
  const found = await publish(bed, sent, keys);
  if ("reply" in found && found.reply === "published")
    writers.set(keys, { ...at, sequence: Math.max(sequence, sent.sequence) });
  return found;
}

async function take(bed: Bed, writers: Writers, step: Command): Promise<object> {
  switch (step.do) {
    case "open": {
      const { keys, owner } = step;
      const found = await open(bed, owner, keys, step.adopt);
      if ("epoch" in found && "sequence" in found)
        writers.set(keys, { epoch: Number(found.epoch), sequence: Number(found.sequence), owner });
      return found;
    }
    case "publish":
      return publishAhead(bed, writers, step);
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
  const writers: Writers = new Map();
  const answers: unknown[] = [];
  for (const step of commands) answers.push(await take(bed, writers, step));
  for (const key of allStreams) answers.push(await contents(bed, key));
  return answers;
}

/** The plain form neither stores the newest ID nor, with dead letters, tells that a stream begins anew. */
function likeMulti(answers: readonly unknown[]): readonly unknown[] {
  return answers.map((one) =>
    typeof one === "object" && one !== null && !Array.isArray(one)
      ? { ...one, entryId: undefined, isRenewed: undefined }
      : one,
  );
}

it.each([
  {
    form: "script",
    command: fc.oneof(...steps, { weight: 1, arbitrary: refusing }),
    compared: (answers: readonly unknown[]) => answers,
  },
  // Opening again always writes there, also while there is no memory.
  { form: "multi", command: fc.oneof(...steps), compared: likeMulti },
] as const)(
  "fakeRedis answers as Redis does with $form, whatever is done to it in whatever order",
  async ({ form, command, compared }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 30 }), async (commands) => {
        await reset(server);
        const beds = [fake(), real(server, form)] as const;
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
