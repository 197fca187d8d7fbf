import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { readEvents, type Tally, tally } from "../kit/load/tally.ts";
import { startRedis } from "../kit/servers/redisServer.ts";
import { form } from "./harness/form.ts";
import { recordRow } from "./harness/row.ts";
import { startWriter, type WriterNews, type WriterOrder } from "./harness/writerProcess.ts";

const stream = "shop.domain";
const perWriter = form === "long" ? 40_000 : 10_000;
const names = ["a", "b", "c"] as const;

/** Three processes with one configuration; Redis is killed and started again empty, and then one of them is killed. */
async function threeProcesses(settings: Pick<WriterOrder, "publish" | "writers">) {
  const server = await startRedis();
  const order = { ...settings, uri: server.uri, stream };
  // The one that is killed would have had more to say.
  const writers = names.map((by) =>
    startWriter({ ...order, by, events: by === "c" ? 3 * perWriter : perWriter }),
  );
  const [, , c] = writers;
  const each = (asked: (news: WriterNews, index: number) => boolean) =>
    Promise.all(writers.map(({ until }, index) => until((news) => asked(news, index))));
  try {
    await each(({ said, safe, end }) => said >= perWriter / 3 && (safe > 0 || end !== undefined));
    await server.signal("SIGKILL");
    await delay(300);
    const before = writers.map(({ news }) => news().safe);
    await server.start();
    await each(
      ({ said, safe, end }, index) =>
        said >= (perWriter * 2) / 3 && (safe > (before[index] ?? 0) || end !== undefined),
    );
    await c?.kill();
    const ends = await Promise.all(writers.map(({ ended }) => ended));
    const found = (await readEvents(server.client, stream)).map((event) => JSON.parse(event));
    const numbersOf = (by: string): number[] => found.flatMap((event) => (event.by === by ? [event.n] : []));
    return { ends, found: names.map(numbersOf) };
  } finally {
    await Promise.all(writers.map((writer) => writer.kill()));
    await server.stop();
  }
}

/** All there is of one writer, which has a beginning that was lost and no further hole. */
function tallyFrom(numbers: readonly number[], upTo: number): Tally & { readonly before: number } {
  const before = (numbers[0] ?? upTo + 1) - 1;
  const { entries, lost, duplicates, inversions } = tally(numbers, upTo);
  return { entries, lost: lost - before, duplicates, inversions, before };
}

describe("many writers", () => {
  for (const publish of ["script", "multi"] as const) {
    const promise = "each event of the living once, but for what they were told is lost";
    it(`three processes, Redis comes back empty, one is killed (${publish}): ${promise}`, {
      timeout: 120_000,
    }, async ({ task }) => {
      const { ends, found } = await threeProcesses({ publish });

      const tallies = found.map((numbers, index) =>
        // Of the dead one all is there that it has sent.
        tallyFrom(numbers, names[index] === "c" ? (numbers.at(-1) ?? 0) : perWriter),
      );
      const sum = (count: (of: Tally) => number) => tallies.reduce((all, of) => all + count(of), 0);
      recordRow(task, {
        fault: `three processes with one configuration, Redis emptied, one killed (${publish})`,
        ...{ times: 2, events: 3 * perWriter, promise },
        lost: sum(({ lost }) => lost),
        duplicates: sum(({ duplicates }) => duplicates),
        inversions: sum(({ inversions }) => inversions),
      });

      for (const [index, { before, ...counts }] of tallies.entries()) {
        expect(counts).toMatchObject({ lost: 0, duplicates: 0, inversions: 0 });
        // What was acknowledged before Redis forgot it is lost, and told, to the event.
        expect(before).toBeGreaterThan(0);
        expect(ends[index]?.lost).toBe(before);
      }
      for (const end of ends.slice(0, 2)) {
        expect(end).toMatchObject({ end: "completed", said: perWriter, safe: perWriter });
      }
      // It was killed in the middle, and what it was told is safe is there.
      expect(ends[2]?.end).toBeUndefined();
      expect(found[2]?.at(-1)).toBeGreaterThanOrEqual(ends[2]?.safe ?? 0);
      expect(found[2]?.at(-1)).toBeLessThan(3 * perWriter);
    });
  }

  it("control: as one owner each, they fence each other, and most events are lost", {
    timeout: 120_000,
  }, async ({ task }) => {
    const { ends, found } = await threeProcesses({ publish: "script", writers: "one" });

    const lost = found.reduce((sum, numbers) => sum + tally(numbers, perWriter).lost, 0);
    recordRow(task, {
      fault: "control: three processes with one configuration, one owner",
      ...{ times: 2, events: 3 * perWriter, lost, duplicates: 0, inversions: 0, promise: "must fail" },
    });
    expect(ends.filter(({ end }) => end?.includes("another writer")).length).toBeGreaterThanOrEqual(1);
    expect(lost).toBeGreaterThan(perWriter);
  });
});
