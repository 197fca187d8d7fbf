import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { wordsIn } from "../../../src/redis/wire/bulk.ts";
import { type EncoderTuning, encoder } from "../../../src/sink/encode/encoder.ts";
import { encoderOf } from "../../../src/sink/encode/envelope.ts";
import { JsonWriter } from "../../../src/sink/encode/jsonWriter.ts";

const tuning: EncoderTuning = {
  maxEventBytes: 1_000_000,
  deadLetters: undefined,
  partitions: undefined,
  envelope: "native",
  fields: undefined,
};
const encoding = () => encoder<unknown, number>({ id: "shop", stream: "orders" }, tuning);
const reference = encoderOf("native");

/** What is written of an event, or what is thrown. */
function outcome(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return `${error}`.replace(/^Error: encode failed: |^TypeError: /, "");
  }
}
const written = ({ publish }: ReturnType<typeof encoding>, event: unknown) =>
  outcome(() => wordsIn(publish(event)).map(String).join());

function checkSame(encoder: ReturnType<typeof encoding>, event: unknown): void {
  expect(written(encoder, event)).toBe(outcome(() => reference(event)));
}

class Point {
  readonly x = 1;
  readonly #secret = 2;
  get sum() {
    return this.x + this.#secret;
  }
}

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.string({ maxLength: 100 }),
  fc.string({ unit: fc.constantFrom("a", '"', "\\", "\n", "\u007f", "é", "\u2028", "\ud800", "😀") }),
  // Of the kinds that V8 has.
  fc.string({ minLength: 20 }).map((whole) => whole.slice(1, -1)),
  fc.tuple(fc.string(), fc.string()).map(([a, b]) => `${a}/${b}/${a}`),
);
const scalar = fc.oneof(
  text,
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.constantFrom(
    -0,
    1e15,
    1e15 - 1,
    1e9,
    1e9 - 1,
    1e21,
    2 ** 31,
    5e-324,
    Number.MAX_VALUE,
    1_700_000_000_123,
  ),
  fc.boolean(),
  fc.constantFrom(null, undefined),
  fc.bigInt(),
);
/** What JSON.stringify has rules of its own for. */
const odd = fc.oneof(
  fc.date().map((date) => date),
  fc.constantFrom<unknown>(
    () => 1,
    Symbol("s"),
    new Point(),
    new Map([[1, 2]]),
    Buffer.from("bytes"),
    /x/,
    new Error("e"),
    Object(1n),
    Object("boxed"),
    Object.assign(Object(5), {}),
    Object.create({ inherited: 1 }),
    Object.setPrototypeOf([1, [2]], Object.prototype),
    Object.setPrototypeOf(new Number(7), Object.prototype),
    Object.setPrototypeOf({ a: 1 }, null),
    Object.setPrototypeOf({ a: 1 }, new Point()),
    Object.defineProperty({ a: 1 }, "hidden", { value: 2, enumerable: false }),
    Object.defineProperty({ a: 1 }, "toJSON", { value: () => "hidden toJSON", enumerable: false }),
    { toJSON: (key: string) => `for ${key}` },
    { toJSON: () => undefined, a: 1 },
    { toJSON: "a column", a: 1 },
    { [Symbol("s")]: 1, a: 1 },
    Object.assign(() => 1, { toJSON: () => "of a function" }),
    new Proxy({ a: 1, b: "x" }, {}),
    new Proxy([1, 2], {}),
    {
      get a() {
        return 1;
      },
      get b() {
        return { c: "x" };
      },
    },
  ),
);
const name = fc.oneof(
  text,
  fc.constantFrom("id", "after", "__proto__", "constructor", "toString", "0", "10", "2", "-1", "toJSON"),
);
/** Columns such as `__proto__` are members of their own. */
const objectOf = (pairs: readonly (readonly [string, unknown])[]) => {
  const object = {};
  for (const [name, value] of pairs)
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  return object;
};
const { value } = fc.letrec<{ readonly value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 9, withCrossShrink: true },
    { weight: 8, arbitrary: scalar },
    { weight: 1, arbitrary: odd },
    { weight: 4, arbitrary: fc.array(fc.tuple(name, tie("value")), { maxLength: 6 }).map(objectOf) },
    { weight: 1, arbitrary: fc.array(tie("value"), { maxLength: 4 }) },
  ),
}));

afterEach(() => {
  for (const given of [
    Object.prototype,
    Array.prototype,
    BigInt.prototype,
    String.prototype,
    Number.prototype,
  ])
    for (const name of ["toJSON", "polluted"]) Reflect.deleteProperty(given, name);
});

describe("JSON that is written without a text", () => {
  it("is that of JSON.stringify, byte for byte, whatever the event", () => {
    const encoder = encoding();
    fc.assert(
      fc.property(value, (event) => checkSame(encoder, event)),
      { numRuns: 3000 },
    );
  });

  it("is that of the event as it is now: changed in place, spread, with columns added and taken out", () => {
    const encoder = encoding();
    const change = fc.record({ name, value, how: fc.constantFrom("set", "delete", "spread", "prototype") });
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), fc.array(change), (pairs, changes) => {
        let event = objectOf([
          ["id", "1"],
          ["after", objectOf(pairs)],
        ]) as Record<string, unknown>;
        checkSame(encoder, event);
        for (const { name, value, how } of changes) {
          const row = event.after as Record<string, unknown>;
          if (how === "set")
            Reflect.defineProperty(row, name, { value, enumerable: true, configurable: true });
          else if (how === "delete") Reflect.deleteProperty(row, name);
          else if (how === "spread") event = { ...event, after: { ...row, [name]: value } };
          else Object.setPrototypeOf(row, name.length % 2 === 0 ? null : { toJSON: () => value });
          checkSame(encoder, event);
        }
      }),
    );
  });

  it("is that of each event, whatever comes again of those before, and how often", () => {
    const few = fc.oneof(
      fc.constantFrom<unknown>(
        0,
        -0,
        12,
        Number.NaN,
        true,
        null,
        undefined,
        1n,
        "",
        "a",
        "ab",
        "bb",
        "é",
        '"',
        [],
      ),
      fc.constantFrom("x".repeat(64), "x".repeat(126), "x".repeat(127), "é".repeat(63), "\n".repeat(63)),
      fc.tuple(fc.constantFrom("one", "two"), fc.constantFrom("/1", "/2")).map((parts) => parts.join("")),
    );
    const row = fc
      .array(fc.tuple(fc.constantFrom("id", "a", "é", "name".repeat(20)), few), { maxLength: 4 })
      .map(objectOf);
    const times = fc.tuple(fc.record({ id: few, before: row, after: row }), fc.integer({ min: 1, max: 4 }));
    const encoder = encoding();
    fc.assert(
      fc.property(fc.array(times), (events) => {
        for (const [event, count] of events)
          for (let time = 0; time < count; time += 1) checkSame(encoder, event);
      }),
      { numRuns: 500 },
    );
  });

  it("is that of each event where a getter publishes one with the same names", () => {
    const encoder = encoding();
    const inner = (n: number) => ({ id: "same", n: n % 2, longer: "inner", last: "same" });
    for (let count = 0; count < 8; count += 1) {
      const event = {
        id: "same",
        get n() {
          checkSame(encoder, inner(count));
          return count % 2;
        },
        row: { id: "same", last: "same" },
        last: "same",
      };
      checkSame(encoder, event);
    }
  });

  it.each([
    ["Object.prototype.toJSON", Object.prototype, { toJSON: (): string => "all" }],
    ["Object.prototype.polluted", Object.prototype, { polluted: 1 }],
    ["Array.prototype.toJSON", Array.prototype, { toJSON: (): string => "arrays" }],
    ["BigInt.prototype.toJSON", BigInt.prototype, { toJSON: (): string => "bigints" }],
    ["String.prototype.toJSON", String.prototype, { toJSON: (): string => "texts" }],
    ["Number.prototype.toJSON", Number.prototype, { toJSON: (): string => "numbers" }],
  ])("heeds %s", (_, prototype, added) => {
    const encoder = encoding();
    const event = { id: "1", n: 2, big: 3n, list: [1, { a: 1 }], row: { a: "x", b: {} } };
    checkSame(encoder, event);
    Object.assign(prototype, added);
    checkSame(encoder, event);
  });

  it("refuses what goes round in a circle, and goes on", () => {
    const encoder = encoding();
    const circle: Record<string, unknown> = { id: "1" };
    circle.row = { circle };
    expect(() => encoder.publish(circle)).toThrow("circular");
    checkSame(encoder, { id: "2" });
  });

  it("leaves what a getter publishes before the event that has it", () => {
    const { publish, release, rest } = encoding();
    const inner: string[] = [];
    const text = "x".repeat(1000);
    const within = () => {
      for (let count = 0; count < 300; count += 1) {
        const content = publish({ inner: count, text });
        inner.push(wordsIn(content).map(String).join());
        if (count % 50 === 0) release(content);
        if (count === 200) rest();
      }
      return "got";
    };
    const outer = {
      first: "1",
      get second() {
        return within();
      },
      third: "3",
    };
    const before = publish({ before: true });
    const content = publish(outer);

    expect(wordsIn(content).map(String)).toEqual([JSON.stringify({ first: "1", second: "got", third: "3" })]);
    expect(inner).toEqual(Array.from({ length: 300 }, (_, inner) => JSON.stringify({ inner, text })));
    expect(wordsIn(publish({ after: true })).map(String)).toEqual(['{"after":true}']);
    expect(before.end).toBeGreaterThan(before.start);
  });

  it("ends within the memory that it is given, whatever that is", () => {
    const writer = new JsonWriter();
    const memory = Buffer.alloc(3000);
    fc.assert(
      fc.property(value, fc.nat(1000), fc.nat(2000), (event, start, room) => {
        memory.fill(0xff);
        outcome(() => writer.write(event, memory, start, start + room));
        expect(memory.subarray(start + room).every((byte) => byte === 0xff)).toBe(true);
        expect(memory.subarray(0, start).every((byte) => byte === 0xff)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
