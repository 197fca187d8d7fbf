import fc from "fast-check";
import {
  concat,
  concatMap,
  defer,
  delay,
  EMPTY,
  from,
  ignoreElements,
  lastValueFrom,
  NEVER,
  type Observable,
  of,
  range,
  retry,
  Subject,
  take,
  tap,
  throwError,
  timer,
  toArray,
  VirtualTimeScheduler,
} from "rxjs";
import { describe, expect, it } from "vitest";
import { inFlight } from "../../operators/inFlight.ts";
import { retryBackoff } from "../../operators/retryBackoff.ts";
import { marbles } from "../kit/time/marbles.ts";

const LOADING = new Error("LOADING Redis is loading the dataset in memory");
const WRONGTYPE = new Error("WRONGTYPE Operation against a key holding the wrong kind of value");
const resend = retryBackoff<string>({ initialMs: 3, jitter: 0, isRetryable: (error) => error !== WRONGTYPE });

/** A `send` that does the next thing on the item's list each time. */
function sending(replies: Readonly<Record<string, readonly Observable<string>[]>>) {
  const times = new Map<string, number>();
  return (item: string): Observable<string> => {
    const time = times.get(item) ?? 0;
    times.set(item, time + 1);
    return replies[item]?.[time] ?? throwError(() => new Error(`no reply ${time} for ${item}`));
  };
}

describe("inFlight", () => {
  it(
    "sends the window again from its oldest item after a failure",
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const source = hot("  -ab------------|");
      const a1 = cold("      ---#           ", undefined, LOADING);
      const b1 = cold("       ---B|         ");
      const a2 = cold("            ---A|    ");
      const b2 = cold("            -B|      ");
      const subA1 = "       -^--!           ";
      const subB1 = "       --^-!           ";
      const subA2 = "       -------^---!    ";
      const subB2 = "       -------^-!      ";
      const expected = "    -----------(AB)|";

      const result = source.pipe(inFlight(sending({ a: [a1, a2], b: [b1, b2] }), { window: 2, resend }));

      expectObservable(result).toBe(expected);
      expectSubscriptions(a1.subscriptions).toBe(subA1);
      expectSubscriptions(b1.subscriptions).toBe(subB1);
      expectSubscriptions(a2.subscriptions).toBe(subA2);
      expectSubscriptions(b2.subscriptions).toBe(subB2);
    }),
  );

  it(
    "stays silent on a source that never emits",
    marbles(({ hot, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = hot("  -----");
      const unsub = "       ^---!";
      const expected = "    -----";

      const result = source.pipe(inFlight(of));

      expectObservable(result, unsub).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(unsub);
      expectNothingPending(unsub);
    }),
  );

  it(
    "completes with an empty source",
    marbles(({ cold, expectObservable }) => {
      const source = cold(" --|");
      const expected = "    --|";

      const result = source.pipe(inFlight(of));

      expectObservable(result).toBe(expected);
    }),
  );

  it(
    "waits for the one item in flight before it completes",
    marbles(({ cold, expectObservable, expectNothingPending }) => {
      const source = cold(" -a|          ");
      const a = cold("       ----(A|)    ");
      const sub = "         ^----!       ";
      const expected = "    -----(A|)    ";

      const result = source.pipe(inFlight(() => a));

      expectObservable(result).toBe(expected);
      expectNothingPending(sub);
    }),
  );

  it(
    "keeps the window full, and never above it",
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold(" (abcd|)        ");
      const reply = cold("  -----(r|)      ");
      const expected = "    -----(rr)-(rr|)";
      // biome-ignore format: marble diagrams align
      const subs = [
        "                   ^----!          ",
        "                   ^----!          ",
        "                   -----^----!     ",
        "                   -----^----!     ",
      ];

      const result = source.pipe(inFlight(() => reply, { window: 2 }));

      expectObservable(result).toBe(expected);
      expectSubscriptions(reply.subscriptions).toBe(subs);
    }),
  );

  it(
    "sends one item at a time with a window of 1",
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold(" ab|       ");
      const reply = cold("  ---(r|)   ");
      const expected = "    ---r--(r|)";
      // biome-ignore format: marble diagrams align
      const subs = [
        "                   ^--!      ",
        "                   ---^--!   ",
      ];

      const result = source.pipe(inFlight(() => reply, { window: 1 }));

      expectObservable(result).toBe(expected);
      expectSubscriptions(reply.subscriptions).toBe(subs);
    }),
  );

  it(
    "has 4 items in flight unless told otherwise",
    marbles(({ cold, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = cold(" (abcdef)");
      const reply = cold("  --------");
      const unsub = "       ^------!";
      const expected = "    --------";

      const result = source.pipe(inFlight(() => reply));

      expectObservable(result, unsub).toBe(expected);
      expectSubscriptions(reply.subscriptions).toBe([unsub, unsub, unsub, unsub]);
      expectNothingPending(unsub);
    }),
  );

  it(
    "hands results on in source order when later items are acknowledged first",
    marbles(({ cold, expectObservable }) => {
      const source = cold(" (abc|)      ");
      const a = cold("      ------(A|)  ");
      const b = cold("      ---(B|)     ");
      const c = cold("      --(C|)      ");
      const expected = "    ------(ABC|)";

      const result = source.pipe(inFlight(sending({ a: [a], b: [b], c: [c] })));

      expectObservable(result).toBe(expected);
    }),
  );

  it(
    "keeps an item in the window until everything before it is acknowledged",
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold(" (abc|)       ");
      const a = cold("      -----(A|)    ");
      const b = cold("      --(B|)       ");
      const c = cold("           ----(C|)");
      const subC = "        -----^---!   ";
      const expected = "    -----(AB)(C|)";

      const result = source.pipe(inFlight(sending({ a: [a], b: [b], c: [c] }), { window: 2 }));

      expectObservable(result).toBe(expected);
      expectSubscriptions(c.subscriptions).toBe(subC);
    }),
  );

  it(
    "lets a failure count when everything before it is acknowledged, and sends nothing twice before it",
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold(" (ab|)         ");
      const a = cold("      -----(A|)     ");
      const b1 = cold("     --#           ", undefined, LOADING);
      const b2 = cold("             ---(B|)");
      const subA = "        ^----!        ";
      const subB2 = "       --------^--!  ";
      const expected = "    -----A-----(B|)";

      const result = source.pipe(inFlight(sending({ a: [a], b: [b1, b2] }), { window: 2, resend }));

      expectObservable(result).toBe(expected);
      expectSubscriptions(a.subscriptions).toBe(subA);
      expectSubscriptions(b2.subscriptions).toBe(subB2);
    }),
  );

  it(
    "ends at once with a permanent error and cancels what is in flight",
    marbles(({ hot, cold, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = hot("  ab----", { a: "a", b: "b" });
      const a = cold<string>("---#", undefined, WRONGTYPE);
      const b = cold("       -----B|");
      const sub = "         ^--!  ";
      const subB = "        -^-!  ";
      const expected = "    ---#  ";

      const result = source.pipe(inFlight(sending({ a: [a], b: [b] }), { resend }));

      expectObservable(result).toBe(expected, undefined, WRONGTYPE);
      expectSubscriptions(source.subscriptions).toBe(sub);
      expectSubscriptions(b.subscriptions).toBe(subB);
      expectNothingPending(sub);
    }),
  );

  it(
    "hands on what is acknowledged before a permanent error",
    marbles(({ cold, expectObservable }) => {
      const source = cold(" (ab)   ");
      const a = cold("      ---(A|)");
      const b = cold<string>("-#", undefined, WRONGTYPE);
      const expected = "    ---(A#)";

      const result = source.pipe(inFlight(sending({ a: [a], b: [b] }), { resend }));

      expectObservable(result).toBe(expected, undefined, WRONGTYPE);
    }),
  );

  it(
    "ends with the first failure without resend",
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold(" -a---");
      const a = cold<string>("-#", undefined, LOADING);
      const sub = "         ^-!  ";
      const expected = "    --#  ";

      const result = source.pipe(inFlight(() => a));

      expectObservable(result).toBe(expected, undefined, LOADING);
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "passes an error of the source through at once while nothing is in flight",
    marbles(({ cold, expectObservable }) => {
      const source = cold(" -#", undefined, LOADING);
      const expected = "    -#";

      const result = source.pipe(inFlight(of, { resend }));

      expectObservable(result).toBe(expected, undefined, LOADING);
    }),
  );

  it(
    "waits for what is in flight before an error of the source",
    marbles(({ cold, expectObservable }) => {
      const source = cold(" -a#     ", undefined, LOADING);
      const a = cold("       ----(A|)");
      const expected = "    -----(A#)";

      const result = source.pipe(inFlight(() => a));

      expectObservable(result).toBe(expected, undefined, LOADING);
    }),
  );

  it(
    "sends again before an error of the source that comes in the backoff, and does not retry that",
    marbles(({ hot, cold, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = hot("  a-#    ", undefined, LOADING);
      const a1 = cold("     -#     ", undefined, LOADING);
      const a2 = cold("         -A|");
      const sub = "         ^-!    ";
      const end = "         ^-----!";
      const expected = "    ------(A#)";

      const result = source.pipe(inFlight(sending({ a: [a1, a2] }), { resend }));

      expectObservable(result).toBe(expected, undefined, LOADING);
      expectSubscriptions(source.subscriptions).toBe(sub);
      expectNothingPending(end);
    }),
  );

  it(
    "sends again before it completes when the source completes in the backoff",
    marbles(({ hot, cold, expectObservable }) => {
      const source = hot("  a-|     ");
      const a1 = cold("     -#      ", undefined, LOADING);
      const a2 = cold("         (A|)");
      const expected = "    ----(A|)";

      const result = source.pipe(inFlight(sending({ a: [a1, a2] }), { resend }));

      expectObservable(result).toBe(expected);
    }),
  );

  it(
    "cancels what is in flight when unsubscribed",
    marbles(({ hot, cold, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = hot("  -a-----");
      const a = cold("       -----A|");
      const subA = "        -^-!   ";
      const unsub = "       ^--!   ";
      const expected = "    -------";

      const result = source.pipe(inFlight(() => a));

      expectObservable(result, unsub).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(unsub);
      expectSubscriptions(a.subscriptions).toBe(subA);
      expectNothingPending(unsub);
    }),
  );

  it(
    "cancels the backoff when unsubscribed",
    marbles(({ hot, cold, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = hot("  a------");
      const a = cold<string>("-#", undefined, LOADING);
      const subA = "        ^!     ";
      const unsub = "       ^-!    ";
      const expected = "    -------";

      const result = source.pipe(inFlight(() => a, { resend }));

      expectObservable(result, unsub).toBe(expected);
      expectSubscriptions(a.subscriptions).toBe(subA);
      expectNothingPending(unsub);
    }),
  );

  it(
    "starts a second subscription with an empty window",
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold("   a|       ");
      const reply = cold("    --(A|)   ");
      const unsub = "         ^!       ";
      const expected = "      --       ";
      const again = "         ---^     ";
      const expectedAgain = " -----(A|)";
      // biome-ignore format: marble diagrams align
      const subs = [
        "                     ^!       ",
        "                     ---^-!   ",
      ];

      const result = source.pipe(inFlight(() => reply, { window: 1 }));

      expectObservable(result, unsub).toBe(expected);
      expectObservable(result, again).toBe(expectedAgain);
      expectSubscriptions(reply.subscriptions).toBe(subs);
    }),
  );

  it(
    "takes what send throws for a failure",
    marbles(({ cold, expectObservable }) => {
      const source = cold(" -a|     ");
      const reply = cold("      (A|)");
      const expected = "    ----(A|)";
      let times = 0;
      const send = () => {
        times += 1;
        if (times === 1) throw LOADING;
        return reply;
      };

      const result = source.pipe(inFlight(send, { resend }));

      expectObservable(result).toBe(expected);
    }),
  );

  it(
    "takes a send that completes without a value for a failure",
    marbles(({ cold, expectObservable }) => {
      const source = cold(" -a-");
      const expected = "    -# ";

      const result = source.pipe(inFlight(() => EMPTY));

      expectObservable(result).toBe(
        expected,
        undefined,
        new Error("inFlight: send completed without a value"),
      );
    }),
  );

  it(
    "takes the last value of a send for its result",
    marbles(({ cold, expectObservable }) => {
      const source = cold(" a|      ");
      const reply = cold("  xyz-|   ");
      const expected = "    ----(z|)";

      const result = source.pipe(inFlight(() => reply));

      expectObservable(result).toBe(expected);
    }),
  );

  it(
    "tells whether the window has room, at subscription and at each change",
    marbles(({ cold, expectObservable }) => {
      const room = new Subject<boolean>();
      const source = cold("    ab---|");
      const reply = cold("     ----(r|)");
      const expectedRoom = "   tf--t";
      const expected = "       ----r(r|)";

      const result = source.pipe(inFlight(() => reply, { window: 2, room }));

      expectObservable(room).toBe(expectedRoom, { t: true, f: false });
      expectObservable(result).toBe(expected);
    }),
  );

  it(
    "takes items into the window in the backoff, and tells when that is full",
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const room = new Subject<boolean>();
      const source = hot("     a-b------");
      const a1 = cold("        -#       ", undefined, LOADING);
      const a2 = cold("            --A| ");
      const b = cold("             ---B|");
      const subB = "           ----^---!";
      const unsub = "          ^--------!";
      const expectedRoom = "   t-f----t";
      const expected = "       -------AB";

      const result = source.pipe(inFlight(sending({ a: [a1, a2], b: [b] }), { window: 2, resend, room }));

      expectObservable(room).toBe(expectedRoom, { t: true, f: false });
      expectObservable(result, unsub).toBe(expected);
      expectSubscriptions(b.subscriptions).toBe(subB);
    }),
  );

  it("takes promises", async () => {
    const result = from([1, 2, 3]).pipe(
      inFlight(async (n: number) => n * 2),
      toArray(),
    );

    expect(await lastValueFrom(result)).toEqual([2, 4, 6]);
  });

  it("stops an endless synchronous source when the result is unsubscribed", () => {
    const results: number[] = [];

    range(0, Number.POSITIVE_INFINITY)
      .pipe(
        inFlight((n: number) => of(n)),
        take(3),
      )
      .subscribe((n) => results.push(n));

    expect(results).toEqual([0, 1, 2]);
  });

  it("sends 20,000 waiting items whose sends settle at once", () => {
    const first = new Subject<number>();
    let count = 0;

    range(0, 20_000)
      .pipe(inFlight((n: number) => (n === 0 ? first : of(n)), { window: 1 }))
      .subscribe(() => {
        count += 1;
      });
    first.next(0);
    first.complete();

    expect(count).toBe(20_000);
  });

  it("keeps the order when a result makes the source emit", () => {
    const source = new Subject<number>();
    const results: number[] = [];

    source.pipe(inFlight((n: number) => of(n), { window: 2 })).subscribe((n) => {
      if (n < 10) {
        source.next(n * 10 + 10);
        source.next(n * 10 + 11);
      }
      results.push(n);
    });
    source.next(0);
    source.next(1);

    expect(results).toEqual([0, 10, 11, 1, 20, 21]);
  });

  it("does not take a send of a failed window for one of the next", () => {
    const a = new Subject<string>();
    const again = new Map([
      ["a", new Subject<string>()],
      ["b", new Subject<string>()],
    ]);
    const replies = new Map<string, Observable<string>>([
      ["a", a],
      // The connection breaks while b is sent.
      [
        "b",
        defer(() => {
          a.error(LOADING);
          return of("B of the failed window");
        }),
      ],
    ]);
    const send = (item: string) => {
      const reply = replies.get(item) ?? again.get(item) ?? NEVER;
      replies.delete(item);
      return reply;
    };
    const results: string[] = [];

    concat(of("a", "b"), NEVER)
      .pipe(inFlight(send, { resend: retry() }))
      .subscribe((result) => results.push(result));
    again.get("a")?.next("A");
    again.get("a")?.complete();
    expect(results).toEqual(["A"]);

    again.get("b")?.next("B");
    again.get("b")?.complete();
    expect(results).toEqual(["A", "B"]);
  });

  it("hands on each result once and in order, whatever fails and whichever comes first", () => {
    const reply = fc.record({ delayMs: fc.integer({ min: 0, max: 6 }), fails: fc.boolean() });
    fc.assert(
      fc.property(
        fc.record({
          window: fc.integer({ min: 1, max: 5 }),
          gapsMs: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 15 }),
          replies: fc.array(reply, { maxLength: 40 }),
        }),
        ({ window, gapsMs, replies }) => {
          const scheduler = new VirtualTimeScheduler();
          const faults: string[] = [];
          const results: number[] = [];
          let sent = 0;
          let expectedItem = 0;
          let active = 0;
          let isComplete = false;

          const settled = () => {
            active -= 1;
          };
          const send = (item: number) =>
            defer(() => {
              const { delayMs, fails } = replies[sent] ?? { delayMs: 1, fails: false };
              sent += 1;
              if (item !== expectedItem) faults.push(`sent ${item} instead of ${expectedItem}`);
              expectedItem = item + 1;
              active += 1;
              if (active > window) faults.push(`${active} sends at once`);
              if (item - results.length >= window)
                faults.push(`sent ${item} with ${results.length} acknowledged`);
              const wait = delayMs === 0 ? EMPTY : timer(delayMs, scheduler).pipe(ignoreElements());
              return concat(wait, fails ? throwError(() => LOADING) : of(item)).pipe(
                tap({ complete: settled, error: settled, unsubscribe: settled }),
              );
            });
          const failed = {
            next: () => {
              expectedItem = results.length;
            },
          };

          from(gapsMs)
            .pipe(
              concatMap((gapMs, item) => (gapMs === 0 ? of(item) : of(item).pipe(delay(gapMs, scheduler)))),
              inFlight(send, { window, resend: retryBackoff({ initialMs: 2, maxMs: 8, scheduler, failed }) }),
            )
            .subscribe({
              next: (item) => results.push(item),
              complete: () => {
                isComplete = true;
              },
            });
          scheduler.flush();

          expect(faults).toEqual([]);
          expect(results).toEqual([...gapsMs.keys()]);
          expect({ isComplete, active }).toEqual({ isComplete: true, active: 0 });
        },
      ),
      { numRuns: 300 },
    );
  });

  it(
    "ends with what room throws, and lets go of what is in flight",
    marbles(({ hot, cold, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = hot("  -a----");
      const reply = cold("   ---r|");
      const sub = "         ^!    ";
      const expected = "    -#    ";
      const room = {
        next: (hasRoom: boolean) => {
          if (!hasRoom) throw LOADING;
        },
      };

      const result = source.pipe(inFlight(() => reply, { window: 1, room }));

      expectObservable(result).toBe(expected, undefined, LOADING);
      expectSubscriptions(source.subscriptions).toBe(sub);
      expectNothingPending(sub);
    }),
  );

  it.each([Number.NaN, 0, -1])("refuses a window of %d at once", (window) => {
    expect(() => inFlight((item) => [item], { window })).toThrow(
      `inFlight: window: found ${window}, expected a number from 1 on`,
    );
  });
});
