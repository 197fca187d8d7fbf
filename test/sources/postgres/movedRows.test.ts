import { describe, expect, it } from "vitest";
import { MovedRows } from "../../../src/sources/postgres/snapshot/movedRows.ts";

const orders = { schema: "public", name: "orders" };
const row = (id: number) => ({ id, amount: 1 });

/** Whether a row that moves so may lack its large column. */
function mover() {
  const moved = new MovedRows();
  return {
    begin: (isAnew = false) => moved.begin(orders, isAnew),
    move: (from: number, to: number) => moved.moved(orders, { id: from }, row(to)),
  };
}

describe("rows that move while their table is read", () => {
  it("may not have been told, as long as no reading of the table was whole", () => {
    const { begin, move } = mover();
    expect(move(1, 2)).toBe(true);
    begin();
    expect(move(1, 2)).toBe(true);
  });

  it("were told by the reading before, but for those that moved in it", () => {
    const { begin, move } = mover();
    begin();
    move(1, 2);
    begin();
    expect(move(7, 8)).toBe(false);
    expect(move(2, 3)).toBe(true);
    expect(move(3, 4), "once more").toBe(true);
    begin();
    expect(move(2, 9)).toBe(false);
    expect(move(4, 9)).toBe(true);
  });

  it("were not told behind a truncate", () => {
    const { begin, move } = mover();
    begin();
    begin(true);
    expect(move(1, 2)).toBe(true);
  });

  it("are any of them, if more have moved than are remembered", () => {
    const { begin, move } = mover();
    begin();
    for (let id = 0; id < 100_000; id += 1) move(id, id + 1_000_000);
    begin();
    expect(move(500_000, 1)).toBe(true);
    begin();
    expect(move(500_000, 2)).toBe(false);
  });
});
