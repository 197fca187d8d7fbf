import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { columnReader, type ReadValue, valueReader } from "../../../src/sources/postgres/columnValues.ts";

const types = { text: 25, bool: 16, numeric: 1700, timestamptz: 1184, jsonb: 3802 };

/** What is read of texts that lie one behind the other. */
function readAll(read: ReadValue, texts: readonly string[]): readonly unknown[] {
  const buffer = Buffer.from(texts.join(""));
  let end = 0;
  return texts.map((text) => {
    const start = end;
    end += Buffer.byteLength(text);
    return read(buffer, start, end);
  });
}

const alike = fc.array(
  fc.oneof(
    fc.constantFrom(
      "",
      "a",
      "b",
      "ab",
      "bb",
      "ä",
      "€",
      "2026-01-31 12:00:00+00",
      "x".repeat(64),
      "x".repeat(65),
    ),
    fc.string(),
  ),
);

describe("the values of a column", () => {
  it.each(["text", "bool", "numeric", "timestamptz"] as const)(
    "are those of each row alone, whatever stood in the rows before: %s",
    (type) => {
      fc.assert(
        fc.property(fc.array(alike), (reads) => {
          const next = columnReader(valueReader(types[type]));

          for (const texts of reads)
            expect(readAll(next, texts)).toEqual(readAll(valueReader(types[type]), texts));
        }),
      );
    },
  );

  it("are objects of each row's own", () => {
    const [one, other] = readAll(columnReader(valueReader(types.jsonb)), ['{"a":1}', '{"a":1}']);

    expect(other).toEqual(one);
    expect(other).not.toBe(one);
  });

  it("are read anew after one that could not be read", () => {
    const next = columnReader(valueReader(types.jsonb));

    expect(readAll(next, ["12"])).toEqual([12]);
    expect(() => readAll(next, ["1x2"])).toThrow(SyntaxError);
    expect(readAll(next, ["123", "12", "12"])).toEqual([123, 12, 12]);
  });
});
