import { describe, expect, it } from "vitest";
import { ReadCount } from "../../src/consumer/readCount.ts";

const room = { entries: 500, bytes: 1000 };
const entries = (...sizes: readonly number[]) =>
  sizes.map((bytes, index) => ({ stream: "orders.events", entryId: `${index}-0`, fields: [], bytes }));

describe("ReadCount", () => {
  it("begins with little, and asks for more while entries are small", () => {
    const count = new ReadCount(1);
    const counts = [1, 2, 3, 4, 5].map(() => {
      const next = count.next(room);
      count.came(entries(1));
      return next;
    });

    expect(counts).toEqual([4, 16, 64, 256, 500]);
  });

  it("asks for what there is room for as the entries lately were, and one of each stream at least", () => {
    const count = new ReadCount(2);
    for (let read = 0; read < 5; read += 1) count.came(entries(10));
    count.came(entries(10, 100, 10));
    expect(count.next(room)).toBe(5);
    count.came(entries(10));
    expect(count.next(room)).toBe(6);
    count.came(entries(10_000));
    expect(count.next(room)).toBe(1);
  });
});
