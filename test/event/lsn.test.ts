import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isLsn, type Lsn, ordLsn } from "../../src/event/lsn.ts";

const half = fc.integer({ min: 0, max: 0xffff_ffff });
const parts = fc.tuple(half, half, fc.nat({ max: 1_000_000 }));

function lsn([high, low, number]: readonly [number, number, number]): Lsn {
  const place = `${high.toString(16)}/${low.toString(16)}`.toUpperCase();
  const text = number === 0 ? place : `${place}:${number}`;
  if (!isLsn(text)) throw new Error(`${text} is not canonical`);
  return text;
}

describe("ordLsn", () => {
  it("orders positions as the numbers that they stand for", () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const first = a.findIndex((value, index) => value !== b[index]);
        const expected = first < 0 ? 0 : Math.sign((a[first] ?? 0) - (b[first] ?? 0));
        expect(ordLsn.compare(lsn(a), lsn(b))).toBe(expected);
      }),
    );
  });
});

describe("isLsn", () => {
  it.each(["0/0", "16/B374D848", "16/B374D848:3", "FFFFFFFF/FFFFFFFF:10"])("takes %s", (text) => {
    expect(isLsn(text)).toBe(true);
  });

  it.each(["", "0", "0/", "00/1", "0/0A", "a/b", "1/2:0", "1/2:", "1/2:03", "123456789/0", "1/2 "])(
    "refuses %j, so that equal positions are equal texts",
    (text) => {
      expect(isLsn(text)).toBe(false);
    },
  );

  it("says of each text what it says of it alone, whatever it was asked before", () => {
    const character = fc.constantFrom(..."019AFa/: \n");
    const nearly = fc
      .tuple(parts.map(lsn), fc.nat({ max: 20 }), fc.nat({ max: 1 }), fc.option(character))
      .map(([text, at, left, put]) => `${text.slice(0, at)}${put ?? ""}${text.slice(at + left)}`);
    const isOne = (text: string) => {
      const [, ...digits] = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})(?::([0-9]+))?$/.exec(text) ?? [];
      const [high, low, number] = digits;
      const isCanonical = [high, low].every(
        (half) => half === "0" || (half !== undefined && !half.startsWith("0")),
      );
      return isCanonical && !text.endsWith("\n") && number?.startsWith("0") !== true;
    };
    fc.assert(
      fc.property(fc.array(fc.oneof(parts.map(lsn), nearly), { minLength: 1, maxLength: 6 }), (texts) => {
        for (const text of [...texts, ...texts.toReversed()]) expect(isLsn(text)).toBe(isOne(text));
      }),
      { numRuns: 2000 },
    );
  });
});
