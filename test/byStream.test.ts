import { concatMap, delay, map, type Observable, type OperatorFunction, of, pipe } from "rxjs";
import { describe, it } from "vitest";
import { byStream } from "../src/byStream.ts";
import type { Batch, Entry } from "../src/entry.ts";
import { marbles } from "./support/marbles.ts";

/** "a1" goes to the stream a. */
function entryOf(text: string, ordinal: number): Entry<number> {
  return {
    ordinal,
    stream: text.charAt(0),
    payload: text,
    extra: undefined,
    bytes: 1,
    totalBytes: ordinal + 1,
    deadLetter: undefined,
    isWhole: false,
    isSkipped: false,
    id: text,
    safe: undefined,
    position: ordinal,
    transaction: undefined,
    timeMs: undefined,
    arrivedMs: 0,
  };
}

/** What is published, as text, when a batch takes so many ms and each stream has one in flight. */
function published(window: number, ms: number, maxItems = 10): OperatorFunction<string, string> {
  return pipe(
    map(entryOf),
    byStream({ maxItems }, { maxItems: 100 }, window, () => lane(ms)),
  );
}

/** One batch after the other, as text, in so many ms each. */
function lane(ms: number): OperatorFunction<Batch<number>, string> {
  return pipe(
    map((batch) => batch.map(({ payload }) => payload).join(" ")),
    concatMap((text) => of(text).pipe(delay(ms))),
  );
}

const values = { a: "a1", b: "b1", c: "a2", d: "a3", e: "b2" };

describe("byStream", () => {
  it(
    "publishes what comes to an idle sink at once, whatever its stream",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  a-----b|", values);
      const expected = "     --x-----(y|)";
      expectObservable(source.pipe(published(1, 2))).toBe(expected, { x: "a1", y: "b1" });
    }),
  );

  it(
    "gathers while the window is full, and then gives each stream its share",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  abcde------------|", values);
      const expected = "     -----x----(yz)---|";
      const shares = { x: "a1", y: "b1 b2", z: "a2 a3" };
      expectObservable(source.pipe(published(1, 5))).toBe(expected, shares);
    }),
  );

  it(
    "cuts a share that is larger than a batch",
    marbles(({ cold, expectObservable }) => {
      const source: Observable<string> = cold("(abcde|)", values);
      const expected = "     ------(xy)--(z|)";
      const shares = { x: "a1 a2", y: "b1 b2", z: "a3" };
      expectObservable(source.pipe(published(4, 6, 2))).toBe(expected, shares);
    }),
  );

  it(
    "cuts nothing off a transaction whose last event stands in another stream",
    marbles(({ cold, expectObservable }) => {
      const source: Observable<string> = cold("(acde|)", values);
      const expected = "     -----(xy|)";
      const shares = { x: "a1 a2 a3", y: "b2" };
      const transactionOf = ({ payload }: Entry<number>) => ({ id: "t", last: payload === "b2" });

      const result = source.pipe(
        map(entryOf),
        byStream({ maxItems: 2, transactionOf }, { maxItems: 100 }, 4, () => lane(5)),
      );

      expectObservable(result).toBe(expected, shares);
    }),
  );
});
