import { describe, expect, it } from "vitest";
import { type Effect, effects } from "../../src/consumer.ts";

/** What a program without types may give. */
const any = (...words: readonly unknown[]) => words as unknown as Effect;

describe("effects", () => {
  it("takes texts, finite numbers, bigints and Buffers", () => {
    const command: Effect = ["RPUSH", "list", "a", "", 1.5, -3, 5n, Buffer.from([255, 0])];

    expect(effects(command).commands).toEqual([command]);
    expect(effects().commands).toEqual([]);
  });

  it.each([
    [
      any("HINCRBY", "totals", undefined, 1),
      /^effects: HINCRBY: argument 1: found nothing, expected a text, /,
    ],
    [any("SET", "k", null), /argument 1: found nothing/],
    [any("SET", "k", "v", "EX", Number.NaN), /argument 3: found NaN/],
    [any("SET", "k", Number.POSITIVE_INFINITY), /argument 1: found Infinity/],
    [any("SET", "k", { secret: "s3cr3t" }), /argument 1: found an object/],
    [any("SET", "k", ["v"]), /argument 1: found a list/],
    [any("SET", "k", true), /argument 1: found a boolean/],
    [any("SET", "k", Symbol("v")), /argument 1: found a symbol/],
    [any("DEL", undefined), /^effects: DEL: found text and nothing, expected the command's name and its key/],
    [any(5, "k"), /^effects: a command: found a number and text, /],
    [any("", "k"), /^effects: a command: found an empty text and text, /],
    [any(), /^effects: a command: found nothing and nothing, /],
    ["INCR total" as never, /^effects: found text, expected commands such as/],
    [undefined as never, /^effects: found nothing, expected commands such as/],
  ])("refuses %o by name, without showing it", (command, message) => {
    expect(() => effects(["INCR", "a"], command)).toThrow(message);
    expect(() => effects(command)).not.toThrow(/s3cr3t/);
  });

  it("refuses a command with more words than Redis takes from a script, by their number", () => {
    const items = Array.from({ length: 9000 }, (_, index) => index);

    expect(() => effects(["RPUSH", "list", ...items])).toThrow(
      /^effects: RPUSH: found 9002 words, expected at most 7500: make several commands of it$/,
    );
  });

  it("keeps a command as it was when it was made", () => {
    const bytes = Buffer.from("a");
    const command: [string, string, Buffer] = ["SET", "k", bytes];
    const { commands } = effects(command);

    bytes.write("b");
    command[1] = "another";

    expect(commands).toEqual([["SET", "k", Buffer.from("a")]]);
  });
});
