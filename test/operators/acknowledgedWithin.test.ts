import {
  asyncScheduler,
  concatMap,
  delay,
  identity,
  ignoreElements,
  map,
  NEVER,
  of,
  range,
  take,
  throwError,
  VirtualTimeScheduler,
} from "rxjs";
import { describe, expect, it } from "vitest";
import { acknowledgedWithin } from "../../operators/index.ts";
import { marbles } from "../kit/time/marbles.ts";

const LATE = new Error("late");
const DAY_MS = 24 * 3_600_000;
const within = (dueMs: number) => ({ dueMs, late: () => LATE });

describe("acknowledgedWithin", () => {
  it(
    "hands answers on while they come in time",
    marbles(({ hot, expectObservable, expectNothingPending }) => {
      const source = hot("  -a-b-----|");
      const expected = "    ---a-b---|";

      expectObservable(source.pipe(acknowledgedWithin(within(4), delay(2)))).toBe(expected);
      expectNothingPending("---------!");
    }),
  );

  it(
    "ends when the oldest item has waited too long",
    marbles(({ hot, expectObservable }) => {
      const source = hot("  -a-b------");
      const expected = "    -----#    ";

      const result = source.pipe(
        acknowledgedWithin(
          within(4),
          concatMap(() => NEVER),
        ),
      );

      expectObservable(result).toBe(expected, undefined, LATE);
    }),
  );

  it(
    "counts from each item by itself",
    marbles(({ hot, expectObservable }) => {
      const source = hot("  -a-b------");
      const expected = "    --a----#  ";

      const result = source.pipe(
        acknowledgedWithin(
          within(4),
          concatMap((item) => (item === "a" ? of(item).pipe(delay(1)) : NEVER)),
        ),
      );

      expectObservable(result).toBe(expected, undefined, LATE);
    }),
  );

  it(
    "does not mind a quiet source",
    marbles(({ hot, expectObservable }) => {
      const source = hot("  a 60s b|");
      const expected = "    a 60s b|";

      expectObservable(
        source.pipe(
          acknowledgedWithin(
            within(4),
            map((item) => item),
          ),
        ),
      ).toBe(expected);
    }),
  );

  it(
    "passes errors on, of the source and of what answers",
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot("  -a-#");
      const broken = concatMap(() => throwError(() => "broken"));

      expectObservable(source.pipe(acknowledgedWithin(within(4), map(String)))).toBe("-a-#");
      expectObservable(source.pipe(acknowledgedWithin(within(4), broken))).toBe("-#", undefined, "broken");
      expectSubscriptions(source.subscriptions).toBe(["^--!", "^!"]);
    }),
  );

  it(
    "unsubscribes from the source, and leaves no timer",
    marbles(({ hot, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = hot("  -a-b----");
      const unsub = "       --!     ";

      expectObservable(
        source.pipe(
          acknowledgedWithin(
            within(4),
            concatMap(() => NEVER),
          ),
        ),
        unsub,
      ).toBe("---");
      expectSubscriptions(source.subscriptions).toBe("^-!");
      expectNothingPending("----!");
    }),
  );

  it("goes by the time that has passed, not by a clock that is set forward meanwhile", () => {
    const scheduler = new VirtualTimeScheduler();
    let setForwardMs = 0;
    scheduler.now = () => scheduler.frame + setForwardMs;
    scheduler.schedule(() => (setForwardMs = 3_600_000), 1);
    const seen: unknown[] = [];

    of("a", "b")
      .pipe(
        acknowledgedWithin(
          { ...within(30_000), scheduler },
          concatMap((item) => of(item).pipe(delay(2, scheduler))),
        ),
      )
      .subscribe({ next: (answer) => seen.push(answer), error: (error) => seen.push(error) });
    scheduler.flush();

    expect(seen).toEqual(["a", "b"]);
  });

  it(
    "waits as long as it takes with a dueMs of Infinity, without a timer",
    marbles(({ hot, expectObservable, expectNothingPending }) => {
      const source = hot("  -a-----");
      const expected = "    -------";

      const result = source.pipe(acknowledgedWithin(within(Number.POSITIVE_INFINITY), ignoreElements()));

      expectObservable(result).toBe(expected);
      expectNothingPending("--!");
    }),
  );

  it(
    "waits for longer than a timer can",
    marbles(({ hot, expectObservable }) => {
      const source = hot("  a--");
      const expected = "    57600m #";

      const result = source.pipe(acknowledgedWithin(within(40 * DAY_MS), ignoreElements()));

      expectObservable(result).toBe(expected, undefined, LATE);
    }),
  );

  it("asks for no more than one 31-bit timer at a time", () => {
    const asked: number[] = [];
    const scheduler = Object.create(asyncScheduler, {
      schedule: {
        value: (work: () => void, ms: number) => {
          asked.push(ms);
          if (asked.length < 3) work();
          return NEVER.subscribe();
        },
      },
    });

    of("a")
      .pipe(acknowledgedWithin({ ...within(2 ** 32), scheduler }, ignoreElements()))
      .subscribe();

    expect(asked).toEqual([2 ** 31 - 1, 2 ** 31 - 1, 2]);
  });

  it("stops an endless synchronous source when the result is unsubscribed, or takes no more", () => {
    const results: number[] = [];
    const endless = range(0, Number.POSITIVE_INFINITY);

    endless
      .pipe(acknowledgedWithin(within(4), identity), take(2))
      .subscribe((result) => results.push(result));
    endless.pipe(acknowledgedWithin(within(4), take(2))).subscribe((result) => results.push(result));

    expect(results).toEqual([0, 1, 0, 1]);
  });

  it(
    "ends with what late throws",
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot("  -a-----");
      const sub = "         ^----! ";
      const expected = "    -----# ";
      const late = () => {
        throw LATE;
      };

      const result = source.pipe(acknowledgedWithin({ dueMs: 4, late }, ignoreElements()));

      expectObservable(result).toBe(expected, undefined, LATE);
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "ends with what toAnswers throws",
    marbles(({ hot, expectObservable }) => {
      const broken = () => {
        throw LATE;
      };

      expectObservable(hot("-a-").pipe(acknowledgedWithin(within(4), broken))).toBe("#", undefined, LATE);
    }),
  );

  it.each([Number.NaN, -1])("refuses a dueMs of %d at once", (dueMs) => {
    expect(() => acknowledgedWithin(within(dueMs), identity)).toThrow(
      `acknowledgedWithin: dueMs: found ${dueMs}, expected a number from 0 on`,
    );
  });
});
