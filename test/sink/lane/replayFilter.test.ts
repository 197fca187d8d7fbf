import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type StandardPosition, standardPositions } from "../../../src/event/positions.ts";
import type { Entry } from "../../../src/sink/encode/entry.ts";
import { ReplayFilter } from "../../../src/sink/lane/replayFilter.ts";
import type { Ahead } from "../../../src/sink/lane/stand.ts";
import { usedMiB } from "../../kit/load/usedMemory.ts";
import { entryWith } from "./entries.ts";

type Given = Partial<Pick<Entry<StandardPosition>, "id" | "position" | "transaction">> & {
  readonly payload?: string | Buffer;
};

function entry({ payload = "", ...given }: Given, ordinal: number): Entry<StandardPosition> {
  return entryWith(given, ordinal, payload);
}

function verdicts(stored: StandardPosition | undefined, given: readonly Given[], ahead?: Ahead) {
  // Batches of two: between them it remembers what it needs apart from them.
  const filter = new ReplayFilter(standardPositions, stored, ahead);
  return given.map((one, ordinal) => {
    if (ordinal % 2 === 0) filter.rest();
    return filter.verdictOf(entry(one, ordinal));
  });
}

const at = (...positions: readonly StandardPosition[]) => positions.map((position) => ({ position }));
const inTransaction = (position: number, ...ids: readonly string[]) =>
  ids.map((id) => ({ id, position, transaction: { id: `t${position}` } }));

describe("a replay filter", () => {
  it("knows what is not after the stored position", () => {
    expect(verdicts(3, at(1, 2, 3, 4, 5))).toEqual(["known", "known", "known", "new", "new"]);
  });

  it("tells what the source sends again within a run from what was there before", () => {
    expect(verdicts(undefined, at(1, 2, 3, 2, 3, 4))).toEqual([
      ...["new", "new", "new"],
      ...["behind", "behind", "new"],
    ]);
  });

  it("takes everything that has no position, or one without an order", () => {
    expect(verdicts(undefined, [{ id: "a" }, { id: "a" }])).toEqual(["new", "new"]);
    expect(verdicts("token-2", at("token-1", "token-2"))).toEqual(["new", "new"]);
  });

  it("takes all events of a transaction that share a position, once", () => {
    const shared = inTransaction(7, "a", "b");
    expect(verdicts(undefined, shared)).toEqual(["new", "new"]);
    expect(verdicts(7, shared)).toEqual(["known", "known"]);
  });

  it("knows as many events of a shared position as are there, and takes the others", () => {
    const ahead = { events: 2, position: "7" };
    expect(verdicts(6, inTransaction(7, "a", "b", "c", "d"), ahead)).toEqual([
      "known",
      "known",
      "new",
      "new",
    ]);
    expect(verdicts(6, at(8), ahead)).toEqual(["new"]);
  });

  it("knows them of a position without an order, too", () => {
    const shared = inTransaction(7, "a", "b", "c").map((one) => ({ ...one, position: "token" }));
    expect(verdicts("before", shared, { events: 2, position: '"token"' })).toEqual(["known", "known", "new"]);
  });

  it("takes what was yet to come of a shared position when the source goes back before its end", () => {
    const [first, second, third] = inTransaction(7, "a", "b", "c");
    const again = [first, second, third].flatMap((one) => (one === undefined ? [] : [one]));
    expect(verdicts(undefined, [...at(6), ...again.slice(0, 2), ...at(6), ...again])).toEqual([
      ...["new", "new", "new"],
      ...["behind", "behind", "behind", "new"],
    ]);
    expect(verdicts(undefined, [...again.slice(0, 2), ...again])).toEqual([
      ...["new", "new"],
      ...["behind", "behind", "new"],
    ]);
  });

  it("takes an event that comes twice in a row once", () => {
    const twice = [
      { id: "a", position: 7 },
      { id: "a", position: 7 },
    ];
    expect(verdicts(undefined, twice)).toEqual(["new", "behind"]);
  });

  it("takes it once as well when it says something else the second time", () => {
    const twice = [
      { id: "a", position: 7, payload: "read at 1" },
      { id: "a", position: 7, payload: "read at 2" },
    ];
    expect(verdicts(undefined, twice)).toEqual(["new", "behind"]);
  });

  it("takes all changes of one row in a transaction, which have one ID, and each once", () => {
    const changes = ["one", "two", Buffer.from("three")].map((payload) => ({
      ...{ id: "row 1", position: 7, transaction: { id: "t7" }, payload },
    }));
    expect(verdicts(undefined, changes)).toEqual(["new", "new", "new"]);
    expect(verdicts(undefined, [...changes, ...changes])).toEqual([
      ...["new", "new", "new"],
      ...["behind", "behind", "behind"],
    ]);
    expect(verdicts(6, changes, { events: 2, position: "7" })).toEqual(["known", "known", "new"]);
  });

  it("says the same of each event whenever it rested", () => {
    const transaction = fc.option(fc.record({ id: fc.constantFrom("t", "u") }), { nil: undefined, freq: 3 });
    const given: fc.Arbitrary<Given> = fc.record({
      id: fc.option(fc.constantFrom("a", "b"), { nil: undefined, freq: 4 }),
      position: fc.option(fc.nat({ max: 4 }), { nil: undefined, freq: 8 }),
      transaction,
      payload: fc.constantFrom("", "one", "two", "zwö"),
    });
    const ahead = fc.record({ events: fc.nat({ max: 4 }), position: fc.constantFrom("1", "2", "3") });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(given, fc.boolean()), { maxLength: 14 }),
        fc.option(fc.nat({ max: 3 }), { nil: undefined }),
        fc.option(ahead, { nil: undefined }),
        (events, stored, ahead) => {
          const [resting, awake] = [0, 1].map(() => new ReplayFilter(standardPositions, stored, ahead));
          for (const [ordinal, [one, rests]] of events.entries()) {
            if (rests) resting?.rest();
            expect(resting?.verdictOf(entry(one, ordinal))).toBe(awake?.verdictOf(entry(one, ordinal)));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("holds next to nothing of thousands of lanes that rest, whatever their events were", () => {
    const transaction = { id: "t" };
    const filters = Array.from(
      { length: 2000 },
      () => new ReplayFilter(standardPositions, undefined, undefined),
    );
    const before = usedMiB();
    for (const [ordinal, filter] of filters.entries()) {
      for (const id of ["a", "b"])
        filter.verdictOf(entryWith({ id, position: 7, transaction }, ordinal, "x".repeat(8000)));
      filter.rest();
    }
    expect(usedMiB() - before).toBeLessThan(16);
    expect(filters[0]?.verdictOf(entryWith({ id: "b", position: 7, transaction }, 0, "x".repeat(8000)))).toBe(
      "behind",
    );
  });

  it("does not take different events at one position", () => {
    const clashing = [
      { id: "a", position: 7 },
      { id: "b", position: 7 },
    ];
    expect(verdicts(undefined, clashing)).toEqual(["new", "clash"]);
  });

  it("refuses positions of another kind than the stored one", () => {
    expect(() => verdicts(7, at("0/1"))).toThrow("one sink id serves one source");
  });

  it("lets each event through exactly once, wherever a transaction is cut and however often the source goes back", () => {
    // A log of transactions, each at one position; a run reads it from some place to some place, then the next one does.
    const log = fc
      .array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 })
      .map((sizes) =>
        sizes.flatMap((size, index) =>
          inTransaction(index + 1, ...Array.from({ length: size }, (_, place) => `${index + 1}.${place}`)),
        ),
      );
    const runs = fc.array(
      fc.record({
        // Where it begins to read, in transactions before where it has to, and how many events it reads.
        back: fc.nat({ max: 2 }),
        length: fc.nat({ max: 12 }),
        hops: fc.array(fc.record({ after: fc.nat({ max: 8 }), back: fc.nat({ max: 2 }) }), { maxLength: 2 }),
      }),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(log, runs, (events, given) => {
        const there: string[] = [];
        for (const { back, length, hops } of given) {
          const whole = events.findIndex(({ id }) => id === there.at(-1));
          // As a lane stores it: the transaction before the one that may go on, and how much of that is there.
          const current = events[whole]?.position ?? 0;
          const stored = current - 1;
          const ahead = {
            position: `${current}`,
            events: there.filter((id) => id.startsWith(`${current}.`)).length,
          };
          const filter = new ReplayFilter(standardPositions, stored > 0 ? stored : undefined, ahead);
          let next = events.findIndex(({ position }) => position > Math.max(0, stored - back));
          const hopsLeft = [...hops];
          for (let read = 0; read < length && next >= 0 && next < events.length; read += 1) {
            const one = events[next];
            if (one === undefined) break;
            if (read % 3 === 0) filter.rest();
            const verdict = filter.verdictOf(entry(one, read));
            expect(verdict).not.toBe("clash");
            if (verdict === "new") there.push(one.id);
            next += 1;
            if (hopsLeft[0]?.after === read) {
              const to = one.position - hopsLeft[0].back;
              hopsLeft.shift();
              next = events.findIndex(({ position }) => position >= to);
            }
          }
        }
        expect(there).toEqual(events.slice(0, there.length).map(({ id }) => id));
      }),
      { numRuns: 2000 },
    );
  });
});
