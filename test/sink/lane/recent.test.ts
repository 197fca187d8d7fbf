import { describe, expect, it } from "vitest";
import { recent } from "../../../src/sink/lane/recent.ts";

describe("recent", () => {
  it("makes each value once, and anew when others were asked for since", () => {
    const made: string[] = [];
    const of = recent(2, (key: string) => {
      made.push(key);
      return key;
    });

    for (const key of ["a", "b", "a", "c", "a", "b"]) expect(of(key)).toBe(key);

    expect(made).toEqual(["a", "b", "c", "b"]);
  });

  it("keeps the newest even where it may keep none", () => {
    const of = recent(0, (key: string) => ({ key }));

    expect(of("a")).toBe(of("a"));
  });
});
