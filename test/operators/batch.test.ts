import fc from "fast-check";
import {
  BehaviorSubject,
  concat,
  concatMap,
  delay,
  from,
  lastValueFrom,
  map,
  NEVER,
  type Observable,
  of,
  range,
  Subject,
  take,
  throwError,
  timer,
  toArray,
  VirtualTimeScheduler,
} from "rxjs";
import { describe, expect, it } from "vitest";
import {
  type BatchOptions,
  batch,
  type TransactionMark,
  UnfinishedTransaction,
} from "../../operators/batch.ts";
import { marbles } from "../kit/time/marbles.ts";

const LOADING = new Error("LOADING Redis is loading the dataset in memory");
const flags = { t: true, f: false };

/** Batches as text, "a b". */
function batched(options?: BatchOptions<string>) {
  return (source: Observable<string>): Observable<string> =>
    source.pipe(
      batch(options),
      map((items) => items.join(" ")),
    );
}

/** `x` stands alone, `t1` belongs to transaction t, and `t2.` is its last. */
function markedTransactionOf(item: string): TransactionMark | undefined {
  return item === "x" ? undefined : { id: item.charAt(0), last: item.endsWith(".") };
}

/** The same from a source that does not say which item is the last. */
function openTransactionOf(item: string): TransactionMark | undefined {
  return item === "x" ? undefined : { id: item.charAt(0) };
}

describe("batch", () => {
  it(
    "closes on count, else when the first item has waited for lingerMs, else at completion",
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot("  -abc-----d--|");
      const sub = "         ^-----------!";
      const expected = "    --A---B-----(C|)";

      const result = source.pipe(batched({ maxItems: 2, lingerMs: 3 }));

      expectObservable(result).toBe(expected, { A: "a b", B: "c", C: "d" });
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "takes together what the source emits without a pause, and lets nothing wait, without options",
    marbles(({ hot, expectObservable }) => {
      const source = hot("  -(abc)--de|");
      const expected = "    -A------BC|";

      const result = source.pipe(batched());

      expectObservable(result).toBe(expected, { A: "a b c", B: "d", C: "e" });
    }),
  );

  it(
    "stays silent on a source that never emits",
    marbles(({ hot, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = hot("  -----");
      const unsub = "       ^---!";
      const expected = "    -----";

      const result = source.pipe(batched());

      expectObservable(result, unsub).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(unsub);
      expectNothingPending(unsub);
    }),
  );

  it(
    "completes with an empty source, without an empty batch",
    marbles(({ cold, expectObservable, expectNothingPending }) => {
      const source = cold("--|");
      const sub = "        ^-!";
      const expected = "   --|";

      const result = source.pipe(batched({ lingerMs: 5 }));

      expectObservable(result).toBe(expected);
      expectNothingPending(sub);
    }),
  );

  it(
    "emits one item that waits when the source completes, and leaves no timer",
    marbles(({ cold, expectObservable, expectNothingPending }) => {
      const source = cold("-a-|   ");
      const sub = "        ^--!   ";
      const expected = "   ---(A|)";

      const result = source.pipe(batched({ lingerMs: 9 }));

      expectObservable(result).toBe(expected, { A: "a" });
      expectNothingPending(sub);
    }),
  );

  it(
    "fills batches of many items to maxItems",
    marbles(({ cold, expectObservable }) => {
      const source = cold("(abcdefg|)");
      const expected = "   (ABC|)";

      const result = source.pipe(batched({ maxItems: 3 }));

      expectObservable(result).toBe(expected, { A: "a b c", B: "d e f", C: "g" });
    }),
  );

  it(
    "emits each item at once with maxItems 1",
    marbles(({ hot, expectObservable }) => {
      const source = hot("  -a-(bc)|");
      const expected = "    -A-(BC)|";

      const result = source.pipe(batched({ maxItems: 1, lingerMs: 9 }));

      expectObservable(result).toBe(expected, { A: "a", B: "b", C: "c" });
    }),
  );

  it("closes at 500 items and 1 MiB unless told otherwise", () => {
    const sizes: number[] = [];
    range(0, 1200)
      .pipe(batch())
      .subscribe((items) => sizes.push(items.length));
    range(0, 5)
      .pipe(batch({ sizeOf: () => 512 * 1024 }))
      .subscribe((items) => sizes.push(items.length));

    expect(sizes).toEqual([500, 500, 200, 2, 2, 1]);
  });

  it("closes on bytes, before the item that would be too much, and lets a larger item go alone", () => {
    const batches = batchesOf(["aa", "bbb", "c", "dddddd", "eeee", "ff"], {
      maxBytes: 5,
      sizeOf: (item) => item.length,
    });

    expect(batches).toEqual(["aa bbb", "c", "dddddd", "eeee", "ff"]);
  });

  it(
    "closes at once when maxBytes are reached",
    marbles(({ hot, expectObservable }) => {
      const source = hot("  -ab----|", { a: "aa", b: "bbb" });
      const expected = "    --A----|";

      const result = source.pipe(batched({ maxBytes: 5, sizeOf: (item) => item.length, lingerMs: 9 }));

      expectObservable(result).toBe(expected, { A: "aa bbb" });
    }),
  );

  it(
    "holds batches until it is told for the first time that there is room",
    marbles(({ cold, expectObservable }) => {
      const room = cold("  ----t   ", flags);
      const source = cold("ab|     ");
      const expected = "   ----(A|)";

      const result = source.pipe(batched({ maxItems: 2, room }));

      expectObservable(result).toBe(expected, { A: "a b" });
    }),
  );

  it(
    "holds batches while there is no room, then emits what is full and what is due",
    marbles(({ hot, cold, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const room = cold("  f-----t----", flags);
      const source = hot(" -(abc)-----");
      const unsub = "      ^---------!";
      const expected = "   ------(AB)-";

      const result = source.pipe(batched({ maxItems: 2, room }));

      expectObservable(result, unsub).toBe(expected, { A: "a b", B: "c" });
      expectSubscriptions(room.subscriptions).toBe(unsub);
      expectNothingPending(unsub);
    }),
  );

  it("emits no further batch once a batch has used up the room", () => {
    const room = new BehaviorSubject(true);
    const batches: number[][] = [];

    range(0, 5)
      .pipe(batch({ maxItems: 2, room }))
      .subscribe((items) => {
        batches.push(items);
        room.next(false);
      });
    expect(batches).toEqual([[0, 1]]);

    room.next(true);
    expect(batches).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  it(
    "waits for room before it completes",
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const room = cold("  f---t---", flags);
      const source = cold("(abc|)  ");
      const roomSub = "    ^---!   ";
      const expected = "   ----(AB|)";

      const result = source.pipe(batched({ maxItems: 2, room }));

      expectObservable(result).toBe(expected, { A: "a b", B: "c" });
      expectSubscriptions(room.subscriptions).toBe(roomSub);
    }),
  );

  it(
    "emits what is complete before an error of the source, without waiting for room",
    marbles(({ hot, cold, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const room = cold("  f-----------", flags);
      const source = hot(" -(abc)-#    ", undefined, LOADING);
      const sub = "        ^------!    ";
      const expected = "   -------(AB#)";

      const result = source.pipe(batched({ maxItems: 2, lingerMs: 9, room }));

      expectObservable(result).toBe(expected, { A: "a b", B: "c" }, LOADING);
      expectSubscriptions(room.subscriptions).toBe(sub);
      expectNothingPending(sub);
    }),
  );

  it("emits each batch once when room opens while an error drains", () => {
    const room = new BehaviorSubject(false);
    const seen: unknown[] = [];

    concat(
      range(0, 5),
      throwError(() => LOADING),
    )
      .pipe(batch({ maxItems: 2, room }))
      .subscribe({
        next: (items) => {
          seen.push(items);
          room.next(true);
        },
        error: (error) => seen.push(error),
      });

    expect(seen).toEqual([[0, 1], [2, 3], [4], LOADING]);
  });

  it(
    "ends with an error of room",
    marbles(({ hot, cold, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const room = cold<boolean>("f--#   ", flags, LOADING);
      const source = hot("        -a-----");
      const sub = "               ^--!   ";
      const expected = "          ---#   ";

      const result = source.pipe(batched({ lingerMs: 9, room }));

      expectObservable(result).toBe(expected, undefined, LOADING);
      expectSubscriptions(source.subscriptions).toBe(sub);
      expectNothingPending(sub);
    }),
  );

  it.each(["sizeOf", "transactionOf"] as const)(
    "takes what %s throws for an error of the source",
    (callback) =>
      marbles(({ hot, expectObservable, expectSubscriptions, expectNothingPending }) => {
        const source = hot("  -ab----");
        const sub = "         ^-!    ";
        const expected = "    --(A#) ";
        const fail = (item: string): undefined => {
          if (item === "b") throw LOADING;
        };

        const result = source.pipe(
          batched({
            lingerMs: 9,
            sizeOf: (item) => (callback === "sizeOf" ? (fail(item) ?? 0) : 0),
            transactionOf: (item) => (callback === "transactionOf" ? fail(item) : undefined),
          }),
        );

        expectObservable(result).toBe(expected, { A: "a" }, LOADING);
        expectSubscriptions(source.subscriptions).toBe(sub);
        expectNothingPending(sub);
      })(),
  );

  it(
    "drops what waits and cancels the linger when unsubscribed",
    marbles(({ hot, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = hot("  -a----------");
      const unsub = "       ^--!        ";
      const expected = "    ------------";

      const result = source.pipe(batched({ lingerMs: 9 }));

      expectObservable(result, unsub).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(unsub);
      expectNothingPending(unsub);
    }),
  );

  it(
    "cancels the wait for a transaction's end when unsubscribed",
    marbles(({ hot, expectObservable, expectNothingPending }) => {
      const source = hot("  -t----------", { t: "t1" });
      const unsub = "       ^--!        ";
      const expected = "    ------------";

      const result = source.pipe(batched({ transactionOf: openTransactionOf, transactionIdleMs: 5 }));

      expectObservable(result, unsub).toBe(expected);
      expectNothingPending(unsub);
    }),
  );

  it(
    "sets no timer for the rest when a batch makes downstream unsubscribe",
    marbles(({ hot, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = hot("  -(xtu)------", { x: "x", t: "t1", u: "t2" });
      const sub = "         ^!          ";
      const expected = "    -(A|)       ";

      const result = source.pipe(
        batched({ maxItems: 2, lingerMs: 9, transactionOf: markedTransactionOf }),
        take(1),
      );

      expectObservable(result).toBe(expected, { A: "x" });
      expectSubscriptions(source.subscriptions).toBe(sub);
      expectNothingPending(sub);
    }),
  );

  it(
    "starts a second subscription with an empty batch",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  -a-b|      ");
      const unsub = "        ^-!        ";
      const expected = "     ---        ";
      const again = "        ---^       ";
      const expectedAgain = "-------(B|)";

      const result = source.pipe(batched({ lingerMs: 9 }));

      expectObservable(result, unsub).toBe(expected);
      expectObservable(result, again).toBe(expectedAgain, { B: "a b" });
    }),
  );

  it("stops an endless synchronous source when the result is unsubscribed", () => {
    const batches: number[][] = [];

    range(0, Number.POSITIVE_INFINITY)
      .pipe(batch({ maxItems: 2 }), take(2))
      .subscribe((items) => batches.push(items));

    expect(batches).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  it("keeps the order when a batch makes the source emit and complete", () => {
    const source = new Subject<number>();
    const seen: unknown[] = [];

    source.pipe(batch({ maxItems: 2 })).subscribe({
      next: (items) => {
        seen.push(items);
        if (items[0] !== 0) return;
        for (const item of [2, 3, 4]) source.next(item);
        source.complete();
      },
      complete: () => seen.push("complete"),
    });
    source.next(0);
    source.next(1);

    expect(seen).toEqual([[0, 1], [2, 3], [4], "complete"]);
  });

  it("runs all its timers on the scheduler that it is given", () => {
    const scheduler = new VirtualTimeScheduler();
    const seen: unknown[] = [];

    concat(of("t1"), NEVER)
      .pipe(
        batched({
          lingerMs: 30_000,
          transactionOf: openTransactionOf,
          transactionIdleMs: 60_000,
          scheduler,
        }),
      )
      .subscribe((items) => seen.push(items, scheduler.frame));
    scheduler.flush();

    expect(seen).toEqual(["t1", 90_000]);
  });
});

describe("batch", () => {
  it(
    "closes by count alone with a lingerMs of Infinity, and leaves no timer",
    marbles(({ hot, expectObservable, expectNothingPending }) => {
      const source = hot("  -a-bc-------d|");
      const expected = "    ---A--------B|";

      const byCount = batched({ maxItems: 2, lingerMs: Number.POSITIVE_INFINITY });

      expectObservable(source.pipe(byCount)).toBe(expected, { A: "a b", B: "c d" });
      expectObservable(hot("-a").pipe(byCount)).toBe("--");
      expectNothingPending("-------------!");
    }),
  );

  it("does so by a real clock as well, whose timers take Infinity for no time at all", async () => {
    // Timers of one length fire in their order: one of lingerMs would come before it.
    const later = timer(1).pipe(map(() => "b"));

    const batches = concat(of("a"), later).pipe(batch({ maxItems: 2, lingerMs: Number.POSITIVE_INFINITY }));

    expect(await lastValueFrom(batches.pipe(toArray()))).toEqual([["a", "b"]]);
  });

  it.each(["sizeOf", "transactionOf"])("emits what is complete, then ends with what %s throws", (callback) =>
    marbles(({ hot, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = hot("  -ab---   ");
      const sub = "         ^-!      ";
      const expected = "    --(A#)   ";
      const broken = (item: string) => {
        if (item === "b") throw LOADING;
        return undefined;
      };
      const options =
        callback === "sizeOf" ? { sizeOf: (i: string) => broken(i) ?? 1 } : { transactionOf: broken };

      const result = source.pipe(batched({ lingerMs: 9, ...options }));

      expectObservable(result).toBe(expected, { A: "a" }, LOADING);
      expectSubscriptions(source.subscriptions).toBe(sub);
      expectNothingPending(sub);
    })(),
  );

  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY])("ends with an error at a size of %d", (size) =>
    marbles(({ hot, expectObservable }) => {
      const error = new RangeError(`batch: sizeOf: found ${size}, expected a number from 0 on`);

      const result = hot("-a-").pipe(batched({ sizeOf: () => size }));

      expectObservable(result).toBe("-#", undefined, error);
    })(),
  );

  it.each<readonly [BatchOptions<string>, string]>([
    [{ maxItems: 0 }, "maxItems: found 0, expected a number from 1 on"],
    [{ maxBytes: Number.NaN }, "maxBytes: found NaN, expected a number from 1 on"],
    [{ lingerMs: -1 }, "lingerMs: found -1, expected a number from 0 on"],
    [{ lingerMs: Number.NaN }, "lingerMs: found NaN, expected a number from 0 on"],
    [{ transactionIdleMs: Number.NaN }, "transactionIdleMs: found NaN, expected a number from 0 on"],
    [{ maxTransactionItems: Number.NaN }, "maxTransactionItems: found NaN, expected a number from 0 on"],
  ])("refuses %o at once", (options, message) => {
    expect(() => batch(options)).toThrow(`batch: ${message}`);
  });
});

describe("batch with transactions", () => {
  const transactionOf = markedTransactionOf;

  it.each([
    ["keeps one together with its neighbours", 4, "x t1 t2. x x", ["x t1 t2. x", "x"]],
    ["closes before one that would be split", 3, "x t1 t2 t3. x", ["x", "t1 t2 t3.", "x"]],
    ["keeps one whole that is larger than a batch", 2, "x t1 t2 t3 t4. x", ["x", "t1 t2 t3 t4.", "x"]],
    ["tells two with the same id apart by the last item", 3, "t1 t2. t1 t2.", ["t1 t2.", "t1 t2."]],
  ])("%s", (_, max, items, expected) => {
    expect(batchesOf(items.split(" "), { maxItems: max, transactionOf })).toEqual(expected);
    expect(batchesOf(items.split(" "), { maxBytes: max, sizeOf: () => 1, transactionOf })).toEqual(expected);
  });

  it(
    "emits what is complete, then ends with an error, when the source completes in the middle of one",
    marbles(({ hot, expectObservable, expectNothingPending }) => {
      const source = hot("  -(xtu)|   ", { x: "x", t: "t1", u: "t2" });
      const sub = "         ^-----!   ";
      const expected = "    ------(A#)";

      const result = source.pipe(batched({ lingerMs: 9, transactionOf }));

      expectObservable(result).toBe(expected, { A: "x" }, new UnfinishedTransaction("t", 2));
      expectNothingPending(sub);
    }),
  );

  it(
    "completes without it where that is told",
    marbles(({ hot, expectObservable }) => {
      const unfinished = new Subject<UnfinishedTransaction>();
      const source = hot("  -(xtu)|   ", { x: "x", t: "t1", u: "t2" });
      const told = "        ------u   ";
      const expected = "    ------(A|)";

      const result = source.pipe(batched({ lingerMs: 9, transactionOf, unfinished }));

      expectObservable(unfinished).toBe(told, { u: new UnfinishedTransaction("t", 2) });
      expectObservable(result).toBe(expected, { A: "x" });
    }),
  );

  it(
    "tells it once there has been room for what is complete",
    marbles(({ hot, cold, expectObservable }) => {
      const room = hot("    f-------t   ", flags);
      const source = cold(" (xt|)       ", { x: "x", t: "t1" });
      const expected = "    --------(A#)";

      const result = source.pipe(batched({ transactionOf, room }));

      expectObservable(result).toBe(expected, { A: "x" }, new UnfinishedTransaction("t", 1));
    }),
  );

  it("ends with what unfinished throws", () => {
    let failure: unknown;
    const next = () => {
      throw LOADING;
    };

    of("t1")
      .pipe(batched({ transactionOf, unfinished: { next } }))
      .subscribe({ error: (error) => (failure = error) });

    expect(failure).toBe(LOADING);
  });

  it("says in its error what was found, and what to do", () => {
    expect(new UnfinishedTransaction("t", 2).message).toBe(
      "transaction t: found no last item before the source completed, its items so far, 2, are left out: let the last one through, or give `unfinished` to go without them",
    );
  });

  it("takes null for no transaction", () => {
    // As plain JavaScript may answer.
    const none = () => null as unknown as undefined;

    expect(batchesOf(["a", "b"], { transactionOf: none })).toEqual(["a b"]);
  });

  it.each([
    ["ends one without a last item where the next begins", "t1 t2 t3 u1 u2 x", ["t1 t2 t3", "u1 u2", "x"]],
    ["takes one without a last item for ended at completion", "x t1", ["x t1"]],
  ])("%s", (_, items, expected) => {
    const options = { maxItems: 2, transactionOf: openTransactionOf };

    expect(batchesOf(items.split(" "), options)).toEqual(expected);
  });

  it.each([
    ["keeps one whole that is as large as it may be", "t1 t2 t3. x", ["t1 t2 t3.", "x"]],
    ["splits one that is larger than it may be", "t1 t2 t3 t4 t5.", ["t1 t2 t3", "t4 t5."]],
  ])("%s", (_, items, expected) => {
    const limits = { maxItems: 2, transactionOf };
    const bytes = { maxTransactionBytes: 3, sizeOf: () => 1 };

    expect(batchesOf(items.split(" "), { ...limits, maxTransactionItems: 3 })).toEqual(expected);
    expect(batchesOf(items.split(" "), { ...limits, ...bytes })).toEqual(expected);
  });

  it("does not count what stands before one as its own", () => {
    const items = "x x x t1 t2 t3.".split(" ");
    const limits = { maxItems: 5, transactionOf };

    expect(batchesOf(items, { ...limits, maxTransactionItems: 3 })).toEqual(["x x x", "t1 t2 t3."]);
    expect(batchesOf(items, { ...limits, maxTransactionBytes: 3, sizeOf: () => 1 })).toEqual([
      "x x x",
      "t1 t2 t3.",
    ]);
  });

  it(
    "emits what is complete and holds back what is not, until its last item comes",
    marbles(({ hot, expectObservable, expectNothingPending }) => {
      const source = hot("  -(xt)---u---", { x: "x", t: "t1", u: "t2." });
      const unsub = "       ^----------!";
      const expected = "    -A------B---";

      const result = source.pipe(batched({ transactionOf, transactionIdleMs: 2 }));

      expectObservable(result, unsub).toBe(expected, { A: "x", B: "t1 t2." });
      expectNothingPending(unsub);
    }),
  );

  it(
    "leaves out an incomplete one before an error of the source",
    marbles(({ hot, expectObservable }) => {
      const source = hot("  -(xt)#   ", { x: "x", t: "t1" });
      const expected = "    -----(A#)";

      const result = source.pipe(batched({ transactionOf, lingerMs: 9 }));

      expectObservable(result).toBe(expected, { A: "x" });
    }),
  );

  it(
    "lets the rest wait for lingerMs from the batch before it",
    marbles(({ hot, expectObservable, expectNothingPending }) => {
      const source = hot("  -x-t-u------", { x: "x", t: "t1", u: "t2." });
      const unsub = "       ^----------!";
      const expected = "    ----A--B----";

      const result = source.pipe(batched({ transactionOf, lingerMs: 3 }));

      expectObservable(result, unsub).toBe(expected, { A: "x", B: "t1 t2." });
      expectNothingPending(unsub);
    }),
  );

  it(
    "takes one without a last item for ended when nothing comes for transactionIdleMs",
    marbles(({ hot, expectObservable, expectNothingPending }) => {
      const source = hot("  -(tu)----", { t: "t1", u: "t2" });
      const unsub = "       ^-------!";
      const expected = "    ----A----";

      const result = source.pipe(batched({ transactionOf: openTransactionOf, transactionIdleMs: 3 }));

      expectObservable(result, unsub).toBe(expected, { A: "t1 t2" });
      expectNothingPending(unsub);
    }),
  );

  it(
    "does not take one for ended while its items come",
    marbles(({ hot, expectObservable }) => {
      const source = hot("  -t-u-v-----|", { t: "t1", u: "t2", v: "t3" });
      const expected = "    ----------A|";

      const result = source.pipe(batched({ transactionOf: openTransactionOf, transactionIdleMs: 3 }));

      expectObservable(result).toBe(expected, { A: "t1 t2 t3" });
    }),
  );

  it(
    "does not take one for ended because the one before it was idle",
    marbles(({ hot, expectObservable }) => {
      const source = hot("  -t-u--v-------|", { t: "t1", u: "u1", v: "u2" });
      const expected = "    ---A---------B|";

      const result = source.pipe(batched({ transactionOf: openTransactionOf, transactionIdleMs: 4 }));

      expectObservable(result).toBe(expected, { A: "t1", B: "u1 u2" });
    }),
  );
});

function batchesOf(items: readonly string[], options: BatchOptions<string>): string[] {
  const batches: string[] = [];
  from(items)
    .pipe(batched(options))
    .subscribe((items) => batches.push(items));
  return batches;
}

interface Item {
  readonly transaction: number;
  readonly kind: "alone" | "marked" | "open";
  readonly isLast: boolean;
  readonly bytes: number;
  readonly gapMs: number;
}

const gapMs = fc.integer({ min: 0, max: 4 });
const items = fc
  .array(
    fc.record({
      kind: fc.constantFrom<Item["kind"][]>("alone", "marked", "open"),
      parts: fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 6 }), gapMs }), {
        minLength: 1,
        maxLength: 8,
      }),
    }),
    { maxLength: 12 },
  )
  .map((transactions) =>
    transactions.flatMap(({ kind, parts }, transaction): Item[] =>
      parts
        .slice(0, kind === "alone" ? 1 : parts.length)
        .map((part, index, all) => ({ ...part, kind, transaction, isLast: index === all.length - 1 })),
    ),
  );
const roomGaps = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 8 });
const limits = fc.record({
  maxItems: fc.integer({ min: 1, max: 6 }),
  maxBytes: fc.integer({ min: 1, max: 20 }),
  lingerMs: fc.integer({ min: 0, max: 5 }),
  maxTransactionItems: fc.integer({ min: 1, max: 10 }),
  maxTransactionBytes: fc.integer({ min: 1, max: 30 }),
});

/** What `batch` makes of the items, in virtual time. */
function run(source: readonly Item[], options: BatchOptions<Item>, roomGaps: readonly number[] = []) {
  const scheduler = new VirtualTimeScheduler();
  const room = new BehaviorSubject(true);
  const arrivedMs = new Map<Item, number>();
  const batches: { readonly items: Item[]; readonly ms: number; readonly hadRoom: boolean }[] = [];
  const end = { isComplete: false, ms: 0 };
  let ms = 0;
  // Closes and opens in turn, and is open in the end.
  for (const [index, gap] of [...roomGaps, 0].entries()) {
    ms += gap;
    scheduler.schedule(() => room.next(index % 2 === 1 || index === roomGaps.length), ms);
  }

  from(source)
    .pipe(
      concatMap((item) => (item.gapMs === 0 ? of(item) : of(item).pipe(delay(item.gapMs, scheduler)))),
      map((item) => {
        arrivedMs.set(item, scheduler.frame);
        return item;
      }),
      batch({
        sizeOf: ({ bytes }) => bytes,
        transactionOf: ({ transaction, kind, isLast }) =>
          kind === "alone"
            ? undefined
            : { id: `${transaction}`, last: kind === "marked" ? isLast : undefined },
        room,
        scheduler,
        ...options,
      }),
    )
    .subscribe({
      next: (items) => batches.push({ items, ms: scheduler.frame, hadRoom: room.value }),
      complete: () => {
        end.isComplete = true;
        end.ms = scheduler.frame;
      },
    });
  scheduler.flush();
  return { batches, arrivedMs, end };
}

const bytesOf = (items: readonly Item[]) => items.reduce((sum, { bytes }) => sum + bytes, 0);

describe("batch, for all items, limits, rooms and timings,", () => {
  it("emits every item once, in order, in batches that are not empty, where there is room", () => {
    fc.assert(
      fc.property(items, limits, roomGaps, (source, limits, rooms) => {
        const { batches, end } = run(source, limits, rooms);

        expect(batches.flatMap(({ items }) => items)).toEqual(source);
        expect(batches.filter(({ items, hadRoom }) => items.length === 0 || !hadRoom)).toEqual([]);
        expect(end.isComplete).toBe(true);
      }),
    );
  });

  it("keeps to its limits, and to those of transactions in a batch of only one", () => {
    fc.assert(
      fc.property(items, limits, roomGaps, (source, limits, rooms) => {
        for (const { items } of run(source, limits, rooms).batches) {
          const isOne = items.every(({ transaction }) => transaction === items[0]?.transaction);
          const most = {
            items: isOne ? Math.max(limits.maxItems, limits.maxTransactionItems) : limits.maxItems,
            bytes: isOne ? Math.max(limits.maxBytes, limits.maxTransactionBytes) : limits.maxBytes,
          };
          expect(items.length).toBeLessThanOrEqual(most.items);
          // The item that reaches the limit of a transaction is still part of it.
          expect(bytesOf(isOne ? items.slice(0, -1) : items)).toBeLessThanOrEqual(most.bytes);
        }
      }),
    );
  });

  it("splits no transaction within maxTransactionItems and maxTransactionBytes", () => {
    fc.assert(
      fc.property(items, limits, roomGaps, (source, limits, rooms) => {
        const { batches } = run(source, limits, rooms);
        for (const transaction of new Set(source.map(({ transaction }) => transaction))) {
          const whole = source.filter((item) => item.transaction === transaction);
          if (whole.length > limits.maxTransactionItems || bytesOf(whole) > limits.maxTransactionBytes)
            continue;
          expect(batches.filter(({ items }) => items.some((item) => whole.includes(item)))).toHaveLength(1);
        }
      }),
    );
  });

  it("lets no item wait for longer than lingerMs after it is complete, while there is room", () => {
    fc.assert(
      fc.property(items, limits, (source, limits) => {
        const { batches, arrivedMs, end } = run(source, limits);
        for (const { items, ms } of batches) {
          const last = items.at(-1);
          if (last === undefined || last.kind === "open") continue;
          const completeMs = Math.max(
            ...source
              .filter(({ transaction }) => transaction === last.transaction)
              .map((item) => arrivedMs.get(item) ?? 0),
          );
          expect(ms).toBeLessThanOrEqual(Math.min(end.ms, completeMs + limits.lingerMs));
        }
      }),
    );
  });

  it("emits a batch that is not full only after lingerMs or at completion", () => {
    fc.assert(
      fc.property(items, limits, (source, limits) => {
        const alone = source.map((item) => ({ ...item, kind: "alone" as const }));
        const { batches, arrivedMs, end } = run(alone, limits);
        for (const [index, { items, ms }] of batches.entries()) {
          const following = batches[index + 1]?.items[0];
          const isFull =
            items.length === limits.maxItems ||
            bytesOf(items) + (following?.bytes ?? 0) > limits.maxBytes ||
            bytesOf(items) >= limits.maxBytes;
          const [first] = items;
          if (isFull || first === undefined) continue;
          expect(ms).toBe(Math.min(end.ms, (arrivedMs.get(first) ?? 0) + limits.lingerMs));
        }
      }),
    );
  });
});
