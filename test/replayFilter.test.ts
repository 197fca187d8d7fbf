import fc from "fast-check";
import { none, type Option, some } from "fp-ts/lib/Option.js";
import { describe, expect, it } from "vitest";
import type { Entry } from "../src/entry.ts";
import { type StandardPosition, standardPositions } from "../src/positions.ts";
import { replayFilter } from "../src/replayFilter.ts";

type Given = Partial<Pick<Entry<StandardPosition>, "id" | "position" | "transaction">>;

function entries(...given: readonly Given[]): Entry<StandardPosition>[] {
  return given.map((entry, ordinal) => ({
    ordinal,
    stream: "s",
    payload: "",
    extra: undefined,
    deadLetter: undefined,
    isWhole: false,
    isSkipped: false,
    bytes: 0,
    totalBytes: 0,
    id: undefined,
    position: undefined,
    transaction: undefined,
    timeMs: undefined,
    arrivedMs: 0,
    ...entry,
  }));
}

function newIn(stored: Option<StandardPosition>, ...batches: readonly (readonly Given[])[]) {
  const newEntriesOf = replayFilter(standardPositions, stored);
  return batches.flatMap((given) =>
    newEntriesOf(entries(...given)).map(({ id, position }) => id ?? position),
  );
}

const at = (...positions: readonly StandardPosition[]) => positions.map((position) => ({ position }));
const named = (...positions: readonly number[]) =>
  positions.map((position) => ({ id: `e${position}`, position }));

describe("replayFilter", () => {
  it("leaves out what is not after the stored position", () => {
    expect(newIn(some(3), at(1, 2, 3, 4, 5))).toEqual([4, 5]);
  });

  it("leaves out what the source sends again within a run", () => {
    expect(newIn(none, at(1, 2, 3), at(2, 3, 4))).toEqual([1, 2, 3, 4]);
  });

  it("takes everything that has no position, or one without an order", () => {
    expect(newIn(none, [{ id: "a" }, { id: "a" }])).toEqual(["a", "a"]);
    expect(newIn(some("token-2"), at("token-1", "token-2"))).toEqual(["token-1", "token-2"]);
  });

  it("takes all events of a transaction that share a position, once", () => {
    const transaction = { id: "t" };
    const shared = [
      { id: "a", position: 7, transaction },
      { id: "b", position: 7, transaction },
    ];
    expect(newIn(none, shared)).toEqual(["a", "b"]);
    expect(newIn(some(7), shared)).toEqual([]);
  });

  it("takes an event that comes twice in a row once", () => {
    expect(newIn(none, [{ id: "a", position: 7 }], [{ id: "a", position: 7 }])).toEqual(["a"]);
  });

  it("refuses different events at one position, naming both", () => {
    expect(() =>
      newIn(none, [
        { id: "a", position: 7 },
        { id: "b", position: 7 },
      ]),
    ).toThrow(/events a and b: found the same position 7/);
  });

  it("refuses positions of another kind than the stored one", () => {
    expect(() => newIn(some(7), at("0/1"))).toThrow("one sink id serves one source");
  });

  it("lets each position through exactly once, however often the source goes back", () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 20 }),
        fc.array(fc.nat({ max: 20 }), { maxLength: 10 }),
        (stored, restarts) => {
          // Runs that each start anywhere up to one past the furthest, and go three further.
          let furthest = stored;
          const batches = restarts.map((start) => {
            const from = Math.min(start, furthest + 1);
            furthest = Math.max(furthest, from + 2);
            return named(from, from + 1, from + 2);
          });
          const expected = Array.from({ length: furthest - stored }, (_, index) => `e${stored + 1 + index}`);
          expect(newIn(some(stored), ...batches)).toEqual(expected);
        },
      ),
    );
  });
});
