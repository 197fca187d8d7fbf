import { describe, expect, it } from "vitest";
import { Visibility } from "../../../../src/sources/postgres/snapshot/visibility.ts";

const seenOf = (text: string, xids: readonly number[]) =>
  xids.filter((xid) => new Visibility(text).sees(xid));

describe("what one moment of a server sees", () => {
  it("is what had ended by then", () => {
    expect(seenOf("10:14:11,12", [9, 10, 11, 12, 13, 14, 15])).toEqual([9, 10, 13]);
    expect(seenOf("10:10:", [9, 10])).toEqual([9]);
  });

  it("goes on where the numbers of transactions begin again", () => {
    const [round, last] = [2 ** 32, 2 ** 32 - 1];
    expect(seenOf(`${round + 5}:${round + 8}:${round + 6}`, [last, 4, 5, 6, 7, 8])).toEqual([last, 4, 5, 7]);
    expect(seenOf(`${round - 2}:${round - 1}:`, [last - 2, last - 1, last, 3])).toEqual([last - 2, last - 1]);
  });
});
