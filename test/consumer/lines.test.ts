import { describe, expect, it } from "vitest";
import { Lines } from "../../src/consumer/lines.ts";

describe("Lines", () => {
  it("let one of each key go at a time, in the order in which they came", () => {
    const lines = new Lines<number>();

    expect([lines.join("a", 1), lines.join("a", 2), lines.join("b", 3), lines.join("a", 4)]).toEqual([
      ...["goes", "waits", "goes", "waits"],
    ]);
    expect([lines.next("a"), lines.next("a"), lines.next("a"), lines.next("b")]).toEqual([
      ...[2, 4, undefined, undefined],
    ]);
    expect(lines.join("a", 5)).toBe("goes");
  });

  it("leave those behind one that is left to others, and those to come", () => {
    const lines = new Lines<number>();
    for (const one of [1, 2, 3]) lines.join("a", one);

    expect(lines.leave("a")).toEqual([2, 3]);
    expect([lines.next("a"), lines.leave("a")]).toEqual([undefined, []]);
    expect([lines.join("a", 4), lines.join("b", 5)]).toEqual(["left", "goes"]);
  });

  it("end with all that wait, and begin anew", () => {
    const lines = new Lines<number>();
    for (const one of [1, 2, 3]) lines.join("a", one);

    expect([lines.end("a"), lines.end("a")]).toEqual([[2, 3], []]);
    expect(lines.join("a", 4)).toBe("goes");
  });
});
