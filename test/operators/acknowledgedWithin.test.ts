import { concatMap, delay, map, NEVER, of, throwError } from "rxjs";
import { describe, it } from "vitest";
import { acknowledgedWithin } from "../../operators/index.ts";
import { marbles } from "../support/marbles.ts";

const LATE = new Error("late");
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
});
