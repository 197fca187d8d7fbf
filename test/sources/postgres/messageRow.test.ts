import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { messageRow } from "../../../src/sources/postgres/messageRow.ts";

describe("what a message holds", () => {
  it("is a row that JSON can express, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const { content, ...others } = messageRow(Buffer.from(bytes));

        expect(others).toEqual({});
        expect(typeof content).toBe("string");
      }),
    );
  });

  it("is the object that its JSON says, with all its names", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
        const text = JSON.stringify(object);

        expect(JSON.stringify(messageRow(Buffer.from(text)))).toBe(text);
      }),
    );
    const own = messageRow(Buffer.from('{"__proto__": {"polluted": true}, "constructor": 1}'));
    expect(Object.keys(own)).toEqual(["__proto__", "constructor"]);
    expect("polluted" in own).toBe(false);
  });

  it.each(["[1]", "null", "7", '"a"', "{", "", "{}x", `${"[".repeat(1e6)}`])(
    "is its text where that is no object: %.9s",
    (text) => {
      expect(messageRow(Buffer.from(text))).toEqual({ content: text });
    },
  );
});
