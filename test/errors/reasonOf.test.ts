import { describe, expect, it } from "vitest";
import { reasonOf } from "../../src/errors/reasonOf.ts";

describe("reasonOf", () => {
  const hostile = new Error("x");
  Object.defineProperty(hostile, "message", { get: () => Symbol("no text") });

  it.each<[unknown, string]>([
    [new Error("the mail box is full"), "the mail box is full"],
    ["text", "text"],
    [undefined, "undefined"],
    [Symbol("s"), "Symbol(s)"],
    [hostile, "Symbol(no text)"],
    [Object.create(null), "something that has no text"],
    [{ toString: () => hostile.message.at(0) }, "something that has no text"],
  ])("puts %o into words", (thrown, text) => {
    expect(reasonOf(thrown)).toBe(text);
  });

  it("shortens what is long", () => {
    expect(reasonOf(new Error("x".repeat(5000)))).toBe(`${"x".repeat(1000)}…`);
  });
});
