import { describe, expect, it } from "vitest";
import { type StandardPosition, standardPositions } from "../../../src/event/positions.ts";
import { laneKeys } from "../../../src/redis/publish/publishPort.ts";
import type { Entry } from "../../../src/sink/encode/entry.ts";
import { Numbering, type NumberingOptions } from "../../../src/sink/lane/numbering.ts";
import { entryWith } from "./entries.ts";

type P = StandardPosition;

const at = (position: number, part: Partial<Entry<P>> = {}) =>
  entryWith<P>({ position, safe: position, ...part });
/** Of a transaction at 7, of which nothing is safe before its last event. */
const inTransaction = (id: string, safe = 5) =>
  at(7, { id, safe, transaction: { id: "t", last: safe === 7 } });

function numbers(told: Partial<NumberingOptions<P>> = {}, position = "5", ahead = "") {
  const newest = { owner: "me", epoch: 3, sequence: 10 };
  const options = { positions: standardPositions, ...told };
  const keys = { ...laneKeys("orders", "sink"), state: "key" };
  const stored = position === "" ? undefined : 5;
  const itsNumbers = new Numbering<P>(options, keys, newest, { position, ahead }, stored);
  return (batch: readonly Entry<P>[]) => itsNumbers.of(batch);
}

describe("numbering", () => {
  it("gives each batch the next number, and the same batch the same", () => {
    const lane = numbers();
    const [one, two] = [[at(6), at(7)], [at(8)]];
    const first = lane(one);

    expect(first.sent).toMatchObject({ owner: "me", epoch: 3, sequence: 11, position: "7", ahead: "" });
    expect(lane(two)).toMatchObject({ sequence: 12, stand: { position: "8", ahead: "" } });
    expect(lane(one)).toBe(first);
  });

  it("leaves out what is there already, and sends nothing of a batch that is there as a whole", () => {
    const lane = numbers();

    expect(lane([at(4), at(5)])).toMatchObject({ sent: undefined, sequence: 10, replayed: 2 });
    const mixed = lane([at(5), at(6)]);
    expect(mixed).toMatchObject({ sequence: 11, replayed: 1 });
    expect(mixed.entries.map(({ position }) => position)).toEqual([6]);
  });

  it("moves on with what is passed over, of which it sends nothing", () => {
    const passedOver = { stream: "", words: 0, bytes: 0 };
    const batch = [at(6, passedOver), at(7), at(8, passedOver)];
    const { sent, entries, stand } = numbers()(batch);

    expect(sent?.entries).toEqual([batch[1]]);
    expect(entries).toEqual([batch[1]]);
    expect(stand).toEqual({ position: "8", ahead: "" });
  });

  it("counts the events of a position that is not whole yet, over batches and from an earlier run", () => {
    const lane = numbers();
    expect(lane([inTransaction("a"), inTransaction("b")]).stand).toEqual({
      position: "5",
      ahead: "2 7",
    });
    expect(lane([inTransaction("c")]).stand).toEqual({ position: "5", ahead: "3 7" });
    expect(lane([inTransaction("d", 7)]).stand).toEqual({ position: "7", ahead: "" });

    const later = numbers({}, "5", "2 7");
    expect(later([inTransaction("a"), inTransaction("b"), inTransaction("c")])).toMatchObject({
      replayed: 2,
      stand: { position: "5", ahead: "3 7" },
    });
  });

  it("holds what stood ahead for whole as soon as another position comes", () => {
    expect(numbers({}, "5", "2 7")([at(8, { safe: undefined })]).stand).toEqual({
      position: "7",
      ahead: "1 8",
    });
  });

  it("tells once what is sent, and each time that it looks what is left out", () => {
    const told: unknown[] = [];
    const lane = numbers({
      sending: (_batch, { sequence }) => told.push(`sending ${sequence}`),
      replayed: ({ events }) => told.push(`left out ${events}`),
    });
    const batch = [at(5), at(6, { id: "o6" })];
    lane(batch);
    lane(batch);
    lane([at(6, { id: "o6" })]);

    expect(told).toEqual(["left out 1", "sending 11", "left out 1"]);
  });

  it("refuses another event at the position of the one before", () => {
    const lane = numbers();
    expect(() => lane([at(6, { id: "a" }), at(6, { id: "b" })])).toThrow(
      "events a and b: found the same position 6 on both, expected increasing positions",
    );
  });

  it("refuses a stored position that is none of this source", () => {
    const positions = { ...standardPositions, decode: () => undefined };
    expect(() => numbers({ positions }, "5", "2 7")([at(8)])).toThrow(
      "key: found position 7, expected one of this source",
    );
  });
});
