import { ignoreElements, map, type Observable, pipe, tap, throwError, timer } from "rxjs";
import { describe, it } from "vitest";
import type { Progress } from "../../../operators/checkpoint.ts";
import { type HeldBackOptions, heldBack } from "../../../src/sink/lane/heldBack.ts";
import { marbles } from "../../kit/time/marbles.ts";

/** Items are their positions; "-" has none. */
function progressOf(item: string): Progress<string, string> {
  return { last: item, items: 1, acknowledgement: item };
}

/** What comes out, as text: "<a" has left, "a2" is where two items have come to. */
function held(how: Partial<HeldBackOptions<string, string>> = {}) {
  return pipe(
    map(progressOf),
    heldBack<string, string, string>({
      positionOf: (item) => (item === "-" ? undefined : item),
      beside: () => 1,
      write: () => in1ms,
      isFull: () => false,
      intervalMs: 6,
      ...how,
    }),
    map(({ left, reached }) => [
      ...(left === undefined ? [] : [`<${left.items}`]),
      ...(reached === undefined ? [] : [`${reached.last}${reached.items}`]),
    ]),
    map((texts) => texts.join(" ")),
  );
}

const in1ms: Observable<unknown> = timer(1).pipe(ignoreElements());
const left = { l: "<1" };

describe("heldBack", () => {
  it(
    "tells progress once it is written, and writes what comes meanwhile together",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  a---bc------d|");
      const expected = "     lx--ll-y----l(z|)";
      expectObservable(source.pipe(held())).toBe(expected, { ...left, x: "a1", y: "c2", z: "d1" });
    }),
  );

  it(
    "writes what is left when the source completes, without waiting",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  a-b|");
      const expected = "     lxl-(y|)";
      expectObservable(source.pipe(held())).toBe(expected, { ...left, x: "a1", y: "b1" });
    }),
  );

  it(
    "holds back what lies before what was told in an earlier run",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  a-b---c--|");
      const expected = "     l-l---lx-|";
      const beside = (position: string) => position.localeCompare("b");
      expectObservable(source.pipe(held({ beside }))).toBe(expected, { ...left, x: "c3" });
    }),
  );

  it(
    "completes without a word when it never gets beyond that",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  a-b|");
      const expected = "     l-l|";
      expectObservable(source.pipe(held({ beside: () => -1 }))).toBe(expected, left);
    }),
  );

  it(
    "tells where that was again only when the source has no more",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  a-b---|");
      const expected = "     l-l----(x|)";
      const beside = (position: string) => position.localeCompare("b");
      expectObservable(source.pipe(held({ beside }))).toBe(expected, { ...left, x: "b2" });
    }),
  );

  it(
    "lets nothing leave while too much is to be written",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  a--b-----|");
      const expected = "     -x-----y-|";
      expectObservable(source.pipe(held({ isFull: () => true }))).toBe(expected, {
        x: "<1 a1",
        y: "<1 b1",
      });
    }),
  );

  it(
    "writes nothing for items without a position",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  n----|", { n: "-" });
      const expected = "     (lx)-|";
      const never = { write: () => throwError(() => "written") };
      expectObservable(source.pipe(held(never))).toBe(expected, { ...left, x: "-1" });
    }),
  );

  it(
    "ends at once with an error of the source or of writing",
    marbles(({ cold, expectObservable }) => {
      expectObservable(cold("a#").pipe(held({ write: () => timer(5).pipe(ignoreElements()) }))).toBe(
        "l#",
        left,
      );
      expectObservable(cold("a-").pipe(held({ write: () => throwError(() => "no") }))).toBe(
        "(l#)",
        left,
        "no",
      );
    }),
  );

  it(
    "lets what it kept leave before what comes once there is room",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  a-bc---d--|");
      const expected = "     ---y---la-------(d|)";
      let isFull = true;
      const taken = source.pipe(
        tap((item) => {
          isFull = item < "c";
        }),
      );
      const write = () => timer(8).pipe(ignoreElements());
      expectObservable(taken.pipe(held({ isFull: () => isFull, write }))).toBe(expected, {
        ...left,
        y: "<3",
        a: "a1",
        d: "d3",
      });
    }),
  );

  it(
    "ends with what a callback throws, whoever made it ask: what arrives, what has been written, or the clock",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  ab-----------|");
      const whenItArrives = "(l#)";
      const onceWritten = "  ll-(x#)";
      const byTheClock = "   ll-x--#";
      const write = () => timer(3).pipe(ignoreElements());
      for (const [calls, expected] of [whenItArrives, onceWritten, byTheClock].entries()) {
        let good = calls;
        const beside = () => {
          good -= 1;
          if (good < 0) throw "error";
          return 1;
        };
        expectObservable(source.pipe(held({ beside, write }))).toBe(expected, { ...left, x: "a1" });
      }
    }),
  );
});
