import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isLsn, ordLsn } from "../../../../src/event/lsn.ts";
import type { Lsn } from "../../../../src/index.ts";
import { readsOf, readsText, type TableRead } from "../../../../src/sources/postgres/snapshot/tableRead.ts";

const orders: TableRead = {
  schema: "public",
  name: "orders",
  after: undefined,
  isAnew: false,
  scope: "onward" as const,
};

/** A text that PostgreSQL can hold. */
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: "grapheme" }),
  fc.constantFrom("", "~", "a.b", "!", "@", "?/%"),
);
const name = text.filter((each) => each !== "");
const read: fc.Arbitrary<TableRead> = fc.record({
  schema: name,
  name,
  after: fc.option(fc.array(text, { maxLength: 3 }), { nil: undefined }),
  isAnew: fc.boolean(),
  scope: fc.oneof(
    fc.constantFrom("onward" as const, "alone" as const),
    fc.array(fc.tuple(name, fc.constantFrom("=" as const, "<>" as const, ">=" as const), text), {
      maxLength: 2,
    }),
  ),
});

describe("how far tables are read, in a position", () => {
  it.each<[string, readonly TableRead[]]>([
    ["", []],
    ["@public.orders", [orders]],
    ["@public.orders/42", [{ ...orders, after: ["42"] }]],
    ["@~public.lines/7@public.orders", [{ ...orders, name: "lines", after: ["7"], scope: "alone" }, orders]],
    ["@!public.orders/", [{ ...orders, after: [], isAnew: true }]],
    [
      "@public.lines/a%2Fb/7@public.orders?%5B%5D",
      [
        { ...orders, name: "lines", after: ["a/b", "7"] },
        { ...orders, scope: [] },
      ],
    ],
  ])("reads %j", (written, reads) => {
    expect(readsText(reads)).toBe(written);
    expect(readsOf(`16/B374D848:3${written}`)).toEqual(reads);
  });

  it("is read back as it was, whatever names and keys are", () => {
    fc.assert(
      fc.property(fc.array(read, { maxLength: 3 }), (reads) => {
        const position = `16/B374D848:3${readsText(reads)}`;
        expect(isLsn(position)).toBe(true);
        expect(readsOf(position)).toEqual(reads);
      }),
    );
  });

  it.each([
    "@",
    "@orders",
    "@a.b.c",
    "@public.orders/%zz",
    "@public.orders?%7B%7D",
    "@a.b?%5B%5B%22x%22%2C%22or%22%2C%22%22%5D%5D",
  ])("is not %j", (written) => {
    expect(readsOf(`16/B374D848:3${written}`)).toBeUndefined();
  });

  it("says nothing of the order", () => {
    const reads = fc.array(read, { maxLength: 2 }).map(readsText);
    const number = fc.integer({ min: 1, max: 300 });
    fc.assert(
      fc.property(number, number, reads, reads, (a, b, readsA, readsB) => {
        const [first, second] = [`1/A:${a}`, `1/A:${b}`] as [Lsn, Lsn];
        const found = ordLsn.compare(`${first}${readsA}` as Lsn, `${second}${readsB}` as Lsn);
        expect(found).toBe(Math.sign(a - b));
      }),
    );
  });
});
