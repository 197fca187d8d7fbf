import fc from "fast-check";
import { Ord } from "fp-ts/lib/number.js";
import * as t from "io-ts";
import { from, lastValueFrom, map } from "rxjs";
import { describe, expect, it } from "vitest";
import {
  hasOrder,
  positionsIn,
  positionsOf,
  type StandardPosition,
  standardPositions,
} from "../../src/event/positions.ts";
import { redisSink } from "../../src/index.ts";
import { positionText } from "../../src/telemetry/positionText.ts";
import { fakeRedis } from "../../src/testing/index.ts";

describe("standardPositions", () => {
  it("reads back every position that it has written", () => {
    const position = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
      fc.bigInt(),
      fc.string({ unit: "binary" }),
      fc.date({ noInvalidDate: true }),
      fc.constantFrom<StandardPosition>("16/B374D848:3", "42", "42n", '"', "", "2026-11-24T10:00:00.123Z"),
    );
    fc.assert(
      fc.property(position, (value) => {
        expect(standardPositions.decode(standardPositions.encode(value))).toEqual(value);
      }),
    );
  });

  it("writes numbers, bigints, LSNs and dates as one would read them", () => {
    const date = new Date("2026-11-24T10:00:00.123Z");
    expect([42, 42n, "16/B374D848:3", date, "token"].map(standardPositions.encode)).toEqual([
      "42",
      "42n",
      "16/B374D848:3",
      "2026-11-24T10:00:00.123Z",
      '"token"',
    ]);
  });

  it.each(["", "x", "{}", "null", "1n2", "2026-11-24T10:61:00Z"])("finds no position in %j", (text) => {
    expect(standardPositions.decode(text)).toBeUndefined();
  });

  it("orders numbers, bigints, LSNs and dates, and no other strings", () => {
    const pairs = [
      [1, 2],
      [1n, 2n],
      ["0/1", "0/10"],
      [new Date(1), new Date(2)],
      ["token", "tokens"],
    ] as const;
    const order = (a: StandardPosition, b: StandardPosition) => standardPositions.compare?.(a, b);
    expect(pairs.map(([a, b]) => [order(a, b), order(b, a), order(a, a)])).toEqual([
      [-1, 1, 0],
      [-1, 1, 0],
      [-1, 1, 0],
      [-1, 1, 0],
      [undefined, undefined, undefined],
    ]);
    expect(pairs.map(([a]) => hasOrder(standardPositions, a))).toEqual([true, true, true, true, false]);
  });

  it("does not compare positions of different kinds", () => {
    const pairs: readonly (readonly [StandardPosition, StandardPosition])[] = [
      [1, "0/1"],
      [1, 1n],
      [1n, "token"],
      ["0/1", "token"],
      [new Date(1), 1],
    ];
    for (const [a, b] of pairs) {
      expect(() => standardPositions.compare?.(a, b)).toThrow(
        expect.objectContaining({
          _tag: "PositionInvalid",
          message: `positions ${String(a)} and ${String(b)} are of different kinds: one sink id serves one source`,
        }),
      );
    }
  });
});

describe("an error about positions", () => {
  it("does not say the key of a row up to which a snapshot has come", () => {
    const position = "16/B374D848:3@public.people(5f3a9c1e)/alice%40example.com";
    expect(() => standardPositions.compare?.(position, 1)).toThrow(
      expect.objectContaining({
        message: "positions 16/B374D848:3 and 1 are of different kinds: one sink id serves one source",
      }),
    );
    expect(positionText(position)).toBe("16/B374D848:3");
    expect(positionText("alice@example.com")).toBe("alice@example.com");
  });
});

describe("positionsOf", () => {
  const Offset = new t.Type<number, string>(
    "Offset",
    t.number.is,
    (text, context) =>
      typeof text === "string" && /^@\d+$/.test(text)
        ? t.success(Number(text.slice(1)))
        : t.failure(text, context),
    (offset) => `@${offset}`,
  );

  it("stores a user's positions by their codec, in their order", () => {
    const positions = positionsOf(Offset, Ord);
    expect(positions.encode(7)).toBe("@7");
    expect(positions.decode("@7")).toBe(7);
    expect(positions.decode("7")).toBeUndefined();
    expect(positions.compare?.(7, 8)).toBe(-1);
    expect(positionsOf(Offset).compare?.(7, 8)).toBeUndefined();
  });
});

describe("positionsIn", () => {
  it("names the log beside each position, and knows those of no other", () => {
    const positions = positionsIn<number>("ORDERS 1");
    expect(positions.encode(7)).toBe('"ORDERS 1" 7');
    expect(positions.decode('"ORDERS 1" 7')).toBe(7);
    for (const text of ["7", '"ORDERS 2" 7', '"ORDERS 1', '"ORDERS 1"7'])
      expect(positions.decode(text)).toBeUndefined();
    expect(positions.compare?.(7, 8)).toBe(-1);
  });

  it("lets a sink refuse a log that was made anew, at every start, instead of leaving out what it holds", async () => {
    const redis = fakeRedis();
    const run = (log: string, ...numbers: readonly number[]) =>
      lastValueFrom(
        from(numbers).pipe(
          map((position) => ({ position })),
          redisSink<{ position: number }, number>({
            ...{ id: "orders", connection: redis, stream: "orders", positions: positionsIn(log) },
          }),
        ),
      );

    await run("made on Monday", 1, 2, 3);
    await run("made on Monday", 3, 4);
    for (const _start of [1, 2]) {
      await expect(run("made on Tuesday", 1, 2)).rejects.toMatchObject({ _tag: "PositionInvalid" });
    }

    expect(redis.entries("orders")).toHaveLength(4);
  });
});
