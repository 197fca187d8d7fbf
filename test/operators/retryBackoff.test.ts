import fc from "fast-check";
import { defer, type Observable, throwError, VirtualTimeScheduler } from "rxjs";
import { describe, expect, it } from "vitest";
import {
  backoffMs,
  type FailedAttempt,
  type RetryBackoffOptions,
  retryBackoff,
} from "../../operators/retryBackoff.ts";
import { marbles } from "../kit/time/marbles.ts";

const exact = { initialMs: 2, factor: 2, jitter: 0 };
const LOADING = new Error("LOADING Redis is loading the dataset in memory");
const WRONGTYPE = new Error("WRONGTYPE Operation against a key holding the wrong kind of value");

/** Subscribes to the next of them each time, and to the last for ever. */
function inTurn<T>(...sources: readonly Observable<T>[]): Observable<T> {
  let count = 0;
  return defer(() => {
    const source = sources[Math.min(count, sources.length - 1)];
    count += 1;
    return source ?? throwError(() => new Error("no source"));
  });
}

describe("retryBackoff", () => {
  it(
    "subscribes again after 2 ms, then after 4 ms",
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const first = cold("  -a-#          ");
      const second = cold("      --#      ");
      const third = cold("             -b|");
      const expected = "    -a----------b|";
      // biome-ignore format: marble diagrams align
      const subs = [
        "                   ^--!          ",
        "                   -----^-!      ",
        "                   -----------^-!",
      ];

      const result = inTurn(first, second, third).pipe(retryBackoff(exact));

      expectObservable(result).toBe(expected);
      expectSubscriptions(first.subscriptions).toBe(subs[0] ?? "");
      expectSubscriptions(second.subscriptions).toBe(subs[1] ?? "");
      expectSubscriptions(third.subscriptions).toBe(subs[2] ?? "");
    }),
  );

  it(
    "stays silent on a source that never emits",
    marbles(({ cold, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = cold(" -----");
      const unsub = "       ^---!";
      const expected = "    -----";

      const result = source.pipe(retryBackoff(exact));

      expectObservable(result, unsub).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(unsub);
      expectNothingPending(unsub);
    }),
  );

  it(
    "completes with an empty source",
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold(" --|");
      const sub = "         ^-!";
      const expected = "    --|";

      const result = source.pipe(retryBackoff(exact));

      expectObservable(result).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "hands on one value, and many, and subscribes once while nothing fails",
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const one = cold("  -a|    ");
      const many = cold(" -a(bc)|");
      const sub = "       ^-----!";

      expectObservable(one.pipe(retryBackoff(exact))).toBe("-a|");
      expectObservable(many.pipe(retryBackoff(exact))).toBe("-a(bc)|");
      expectSubscriptions(many.subscriptions).toBe(sub);
    }),
  );

  it(
    "passes a permanent error through as it is, at once",
    marbles(({ cold, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = cold(" -a-#", undefined, WRONGTYPE);
      const sub = "         ^--!";
      const expected = "    -a-#";

      const result = source.pipe(retryBackoff({ ...exact, isRetryable: (error) => error !== WRONGTYPE }));

      expectObservable(result).toBe(expected, undefined, WRONGTYPE);
      expectSubscriptions(source.subscriptions).toBe(sub);
      expectNothingPending(sub);
    }),
  );

  it(
    "passes a permanent error through after retryable ones",
    marbles(({ cold, expectObservable }) => {
      const first = cold<string>("  -#   ", undefined, LOADING);
      const second = cold<string>("    -#", undefined, WRONGTYPE);
      const expected = "            ----#";

      const result = inTurn(first, second).pipe(
        retryBackoff({ ...exact, isRetryable: (error) => error === LOADING }),
      );

      expectObservable(result).toBe(expected, undefined, WRONGTYPE);
    }),
  );

  it(
    "passes the last error through when maxRetries are spent",
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold<string>("-#", undefined, LOADING);
      // biome-ignore format: marble diagrams align
      const subs = [
        "                         ^!       ",
        "                         ---^!    ",
        "                         --------^!",
      ];
      const expected = "          ---------#";

      const result = source.pipe(retryBackoff({ ...exact, maxRetries: 2 }));

      expectObservable(result).toBe(expected, undefined, LOADING);
      expectSubscriptions(source.subscriptions).toBe(subs);
    }),
  );

  it(
    "succeeds in the last retry that maxRetries allows",
    marbles(({ cold, expectObservable }) => {
      const failing = cold("  #   ");
      const working = cold("    a|");
      const expected = "      --a|";

      const result = inTurn(failing, working).pipe(retryBackoff({ ...exact, maxRetries: 1 }));

      expectObservable(result).toBe(expected);
    }),
  );

  it(
    "never retries with maxRetries 0",
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold(" -#");
      const sub = "         ^!";
      const expected = "    -#";

      const result = source.pipe(retryBackoff({ ...exact, maxRetries: 0 }));

      expectObservable(result).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "counts attempts and delays afresh after a value",
    marbles(({ cold, expectObservable, flush }) => {
      const first = cold("  #             ");
      const second = cold("   #           ");
      const third = cold("        a-#     ");
      const fourth = cold("           b|  ");
      const expected = "    ------a---b|  ";
      const attempts: number[] = [];
      const failed = { next: ({ attempt }: FailedAttempt) => attempts.push(attempt) };

      const result = inTurn(first, second, third, fourth).pipe(
        retryBackoff({ ...exact, maxRetries: 2, failed }),
      );

      expectObservable(result).toBe(expected);
      flush();
      expect(attempts).toEqual([1, 2, 1]);
    }),
  );

  it(
    "waits maxMs at most",
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold("#");
      // biome-ignore format: marble diagrams align
      const subs = [
        "(^!)         ",
        "--(^!)       ",
        "-----(^!)    ",
        "--------(^!) ",
      ];
      const expected = "--------#";

      const result = source.pipe(retryBackoff({ ...exact, maxMs: 3, maxRetries: 3 }));

      expectObservable(result).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(subs);
    }),
  );

  it(
    "retries at once when woken, and not again when the delay is over",
    marbles(({ cold, hot, expectObservable, expectSubscriptions }) => {
      const wake = hot("    ---w-----");
      const first = cold("  -#       ");
      const second = cold("    ---a-|");
      const wakeSub = "     -^-!     ";
      const expected = "    ------a-|";

      const result = inTurn(first, second).pipe(retryBackoff({ ...exact, initialMs: 4, wake }));

      expectObservable(result).toBe(expected);
      expectSubscriptions(wake.subscriptions).toBe(wakeSub);
    }),
  );

  it(
    "waits the whole delay when wake completes without a value",
    marbles(({ cold, expectObservable }) => {
      const wake = cold("    |   ");
      const first = cold("  -#   ");
      const second = cold("    a| ");
      const expected = "    ---a|";

      const result = inTurn(first, second).pipe(retryBackoff({ ...exact, wake }));

      expectObservable(result).toBe(expected);
    }),
  );

  it(
    "tells of each failed attempt that it retries, and not of the last",
    marbles(({ cold, expectObservable, flush }) => {
      const source = cold<string>("#", undefined, LOADING);
      const told: FailedAttempt[] = [];

      const result = source.pipe(
        retryBackoff({ ...exact, maxRetries: 2, failed: { next: (attempt) => told.push(attempt) } }),
      );

      expectObservable(result).toBe("------#", undefined, LOADING);
      flush();
      expect(told).toEqual([
        { attempt: 1, delayMs: 2, error: LOADING },
        { attempt: 2, delayMs: 4, error: LOADING },
      ]);
    }),
  );

  it(
    "cancels the source when unsubscribed in an attempt",
    marbles(({ cold, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = cold(" -a--#");
      const unsub = "       ^-!  ";
      const expected = "    -a-  ";

      const result = source.pipe(retryBackoff(exact));

      expectObservable(result, unsub).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(unsub);
      expectNothingPending(unsub);
    }),
  );

  it(
    "cancels a pending retry and lets go of wake when unsubscribed",
    marbles(({ cold, hot, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const wake = hot("    -------");
      const source = cold(" -#     ");
      const sub = "         ^!     ";
      const wakeSub = "     -^-!   ";
      const unsub = "       ^--!   ";
      const expected = "    -------";

      const result = source.pipe(retryBackoff({ ...exact, initialMs: 5, wake }));

      expectObservable(result, unsub).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(sub);
      expectSubscriptions(wake.subscriptions).toBe(wakeSub);
      expectNothingPending(unsub);
    }),
  );

  it(
    "starts a second subscription with the first delay",
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold("      #          ");
      const expected = "         ------#    ";
      const again = "            -----^     ";
      const expectedAgain = "    -----------#";
      // biome-ignore format: marble diagrams align
      const subs = [
        "                        (^!)       ",
        "                        --(^!)     ",
        "                        -----(^!)  ",
        "                        ------(^!) ",
        "                        -------(^!)",
        "                        -----------(^!)",
      ];

      const result = source.pipe(retryBackoff({ ...exact, maxRetries: 2 }));

      expectObservable(result).toBe(expected);
      expectObservable(result, again).toBe(expectedAgain);
      expectSubscriptions(source.subscriptions).toBe(subs);
    }),
  );

  const broken = () => {
    throw WRONGTYPE;
  };
  it.each<RetryBackoffOptions>([{ isRetryable: broken }, { failed: { next: broken } }, { random: broken }])(
    "ends with what a callback throws: %o",
    (options) =>
      marbles(({ cold, expectObservable, expectNothingPending }) => {
        const source = cold(" -#");
        const expected = "    -#";

        const result = source.pipe(retryBackoff(options));

        expectObservable(result).toBe(expected, undefined, WRONGTYPE);
        expectNothingPending("-!");
      })(),
  );

  it.each([Number.NaN, -1, 2])("ends with an error when random finds %d", (found) =>
    marbles(({ cold, expectObservable }) => {
      const error = new RangeError(`retryBackoff: random: found ${found}, expected a number from 0 to 1`);

      const result = cold("-#").pipe(retryBackoff({ random: () => found }));

      expectObservable(result).toBe("-#", undefined, error);
    })(),
  );

  it("runs on the scheduler that it is given", () => {
    const scheduler = new VirtualTimeScheduler();
    let attempts = 0;
    const source = defer(() => {
      attempts += 1;
      return throwError(() => LOADING);
    });

    const subscription = source
      .pipe(retryBackoff({ initialMs: 60_000, maxMs: 60_000, jitter: 0, maxRetries: 3, scheduler }))
      .subscribe({ error: () => {} });
    scheduler.flush();

    expect({ attempts, ms: scheduler.frame, closed: subscription.closed }).toEqual({
      attempts: 4,
      ms: 180_000,
      closed: true,
    });
  });
});

const impossible: readonly (readonly [RetryBackoffOptions, string])[] = [
  [{ initialMs: Number.NaN }, "initialMs: found NaN, expected a number from 0 on"],
  [{ initialMs: -1 }, "initialMs: found -1, expected a number from 0 on"],
  [{ factor: 0.5 }, "factor: found 0.5, expected a number from 1 on"],
  [{ factor: Number.NaN }, "factor: found NaN, expected a number from 1 on"],
  [{ jitter: 1.5 }, "jitter: found 1.5, expected a number from 0 to 1"],
  [{ jitter: Number.NaN }, "jitter: found NaN, expected a number from 0 to 1"],
  [{ initialMs: 500, maxMs: 100 }, "maxMs: found 100, expected a number from 500 on"],
  [{ maxMs: Number.NaN }, "maxMs: found NaN, expected a number from 100 on"],
];

describe("an impossible policy", () => {
  it.each(impossible)("is refused at once: %o", (options, message) => {
    expect(() => retryBackoff(options)).toThrow(`retryBackoff: ${message}`);
    expect(() => backoffMs(1, options)).toThrow(`retryBackoff: ${message}`);
  });

  it.each([Number.NaN, -1])("is refused at once: a maxRetries of %d", (maxRetries) => {
    expect(() => retryBackoff({ maxRetries })).toThrow(
      `retryBackoff: maxRetries: found ${maxRetries}, expected a number from 0 on`,
    );
  });

  it.each([Number.NaN, -1])("is one for a retry of number %d", (retry) => {
    expect(() => backoffMs(retry)).toThrow(`backoffMs: retry: found ${retry}, expected a number from 0 on`);
  });
});

describe("backoffMs", () => {
  it.each<RetryBackoffOptions>([
    { initialMs: 3e9, maxMs: Number.POSITIVE_INFINITY },
    { initialMs: Number.POSITIVE_INFINITY },
    { maxMs: Number.POSITIVE_INFINITY },
  ])("is at most what a timer can wait: %o", (options) => {
    expect(backoffMs(5000, { ...options, random: () => 1 })).toBe(2 ** 31 - 1);
  });

  it("is initialMs where that is longer than the default maxMs", () => {
    expect(backoffMs(3, { initialMs: 20_000, jitter: 0 })).toBe(20_000);
  });

  it("is 100 ms, then twice as long each time, up to 10 s, without jitter", () => {
    const delays = [1, 2, 3, 7, 8, 5000].map((retry) => backoffMs(retry, { jitter: 0 }));

    expect(delays).toEqual([100, 200, 400, 6400, 10_000, 10_000]);
  });

  it("stays 0 when it starts at 0", () => {
    expect(backoffMs(5000, { initialMs: 0 })).toBe(0);
  });

  it("strays by 20 % unless told otherwise", () => {
    expect(backoffMs(1, { random: () => 0 })).toBeCloseTo(80);
    expect(backoffMs(1, { random: () => 0.5 })).toBeCloseTo(100);
    expect(backoffMs(1, { random: () => 1 })).toBeCloseTo(120);
  });

  it("stays within the jitter around the exact delay, from 0 to maxMs, for all settings and retries", () => {
    fc.assert(
      fc.property(
        fc.record({
          retry: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 5000 })),
          initialMs: fc.integer({ min: 0, max: 1000 }),
          factor: fc.integer({ min: 10, max: 50 }).map((tenths) => tenths / 10),
          overMs: fc.integer({ min: 0, max: 120_000 }),
          jitter: fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100),
          random: fc.integer({ min: 0, max: 999 }).map((thousandths) => thousandths / 1000),
        }),
        ({ retry, random, overMs, ...given }) => {
          const settings = { ...given, maxMs: given.initialMs + overMs };
          const { jitter, maxMs } = settings;
          const exactMs = backoffMs(retry, { ...settings, jitter: 0 });
          const delayMs = backoffMs(retry, { ...settings, random: () => random });

          expect(delayMs).toBeGreaterThanOrEqual(Math.max(0, exactMs * (1 - jitter) - 1e-6));
          expect(delayMs).toBeLessThanOrEqual(Math.min(maxMs, exactMs * (1 + jitter) + 1e-6));
          expect(backoffMs(retry + 1, { ...settings, jitter: 0 })).toBeGreaterThanOrEqual(exactMs);
        },
      ),
    );
  });
});
