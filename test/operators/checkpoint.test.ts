import fc from "fast-check";
import { from, identity, map, of, range, repeat, take, tap, toArray } from "rxjs";
import { describe, expect, it } from "vitest";
import { checkpoint } from "../../operators/checkpoint.ts";
import { marbles } from "../kit/time/marbles.ts";

const acks = { A: [0, 1], B: [2, 3], C: [4, 5] };
const toCheckpoints = checkpoint((items: readonly number[]) => items, identity);
const progress = (last: number, items: number, acknowledgement: readonly number[]) => ({
  last,
  items,
  acknowledgement,
});

describe("checkpoint", () => {
  it(
    "waits for the acknowledgement of an earlier item, then makes up for it",
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot("  -A----C----B--|", acks);
      const sub = "         ^-------------!";
      const expected = "    -x---------y--|";

      const result = source.pipe(toCheckpoints);

      expectObservable(result).toBe(expected, { x: progress(1, 2, acks.A), y: progress(5, 4, acks.B) });
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "stays silent while nothing is acknowledged",
    marbles(({ cold, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = cold(" -----", acks);
      const unsub = "       ^---!";
      const expected = "    -----";

      const result = source.pipe(toCheckpoints);

      expectObservable(result, unsub).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(unsub);
      expectNothingPending(unsub);
    }),
  );

  it(
    "completes without a checkpoint when nothing was acknowledged",
    marbles(({ cold, expectObservable }) => {
      const source = cold(" --|", acks);
      const expected = "    --|";

      expectObservable(source.pipe(toCheckpoints)).toBe(expected);
    }),
  );

  it(
    "follows acknowledgements in order one by one",
    marbles(({ cold, expectObservable }) => {
      const source = cold(" A--B-(C|)", acks);
      const expected = "    x--y-(z|)";

      const result = source.pipe(
        toCheckpoints,
        map(({ last, items }) => [last, items]),
      );

      expectObservable(result).toBe(expected, { x: [1, 2], y: [3, 2], z: [5, 2] });
    }),
  );

  it(
    "emits nothing for an acknowledgement without items",
    marbles(({ cold, expectObservable }) => {
      const source = cold<readonly number[]>(" -E-A-E-|", { ...acks, E: [] });
      const expected = "                       ---x---|";

      const result = source.pipe(toCheckpoints);

      expectObservable(result).toBe(expected, { x: progress(1, 2, acks.A) });
    }),
  );

  it(
    "fills holes inside an acknowledgement from others",
    marbles(({ cold, expectObservable }) => {
      const source = cold<readonly number[]>(" -a-b-c|", { a: [1, 4], b: [0, 2], c: [3] });
      const expected = "                       ---x-y|";

      const result = source.pipe(
        toCheckpoints,
        map(({ last, items }) => [last, items]),
      );

      expectObservable(result).toBe(expected, { x: [2, 3], y: [4, 2] });
    }),
  );

  it(
    "leaves out what is acknowledged behind a hole when the source completes",
    marbles(({ cold, expectObservable }) => {
      const source = cold(" -A-C-|", acks);
      const expected = "    -x---|";

      expectObservable(source.pipe(toCheckpoints)).toBe(expected, { x: progress(1, 2, acks.A) });
    }),
  );

  it(
    "passes an error through while acknowledgements wait",
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot("  -A-C-#", acks);
      const sub = "         ^----!";
      const expected = "    -x---#";

      const result = source.pipe(toCheckpoints);

      expectObservable(result).toBe(expected, { x: progress(1, 2, acks.A) });
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "lets go of the source when unsubscribed while acknowledgements wait",
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot("  -A-C---B-", acks);
      const unsub = "       ^----!   ";
      const expected = "    -x-------";

      const result = source.pipe(toCheckpoints);

      expectObservable(result, unsub).toBe(expected, { x: progress(1, 2, acks.A) });
      expectSubscriptions(source.subscriptions).toBe(unsub);
    }),
  );

  it(
    "starts a second subscription at item 0",
    marbles(({ cold, expectObservable }) => {
      const source = cold(" -A-B|", acks);
      const expected = "    -x-y|";
      const again = "       ------^";
      const expectedAgain = "-------x-y|";
      const values = { x: progress(1, 2, acks.A), y: progress(3, 2, acks.B) };

      const result = source.pipe(toCheckpoints);

      expectObservable(result).toBe(expected, values);
      expectObservable(result, again).toBe(expectedAgain, values);
    }),
  );

  it.each(["items", "ordinal"])("ends with what the callback for the %s throws", (callback) =>
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const failure = new Error("no number");
      const source = hot("  -A-B-C-|", acks);
      const sub = "         ^--!";
      const expected = "    -x-#";
      const fail = (): never => {
        throw failure;
      };

      const result = source.pipe(
        checkpoint(
          (items: number[]) => (callback === "items" && items === acks.B ? fail() : items),
          (item) => (callback === "ordinal" && item === 2 ? fail() : item),
        ),
      );

      expectObservable(result).toBe(expected, { x: progress(1, 2, acks.A) }, failure);
      expectSubscriptions(source.subscriptions).toBe(sub);
    })(),
  );

  it("stops an endless synchronous source when the result is unsubscribed", () => {
    let ordinal = 0;
    const endless = of(undefined).pipe(
      repeat(),
      map(() => [ordinal++]),
    );
    const lasts: number[] = [];

    endless.pipe(toCheckpoints, take(3)).subscribe(({ last }) => lasts.push(last));

    expect(lasts).toEqual([0, 1, 2]);
    expect(ordinal).toBe(3);
  });

  it("takes 100,000 acknowledgements that wait for one", () => {
    const lasts: number[] = [];

    from([...Array(100_000).keys()].slice(1).concat(0))
      .pipe(
        map((item) => [item]),
        toCheckpoints,
      )
      .subscribe(({ last, items }) => lasts.push(last, items));

    expect(lasts).toEqual([99_999, 100_000]);
  });

  it("never goes back and never skips, in whatever order acknowledgements come", () => {
    const cutsAndOrder = fc
      .array(fc.integer({ min: 1, max: 4 }), { maxLength: 12 })
      .chain((sizes) =>
        fc.record({ sizes: fc.constant(sizes), shuffled: fc.shuffledSubarray([...sizes.keys()]) }),
      );
    fc.assert(
      fc.property(cutsAndOrder, ({ sizes, shuffled }) => {
        const batches: number[][] = [];
        let count = 0;
        for (const size of sizes) {
          batches.push(Array.from({ length: size }, () => count++));
        }
        const acknowledged = new Set<number>();
        const seen: {
          last: number;
          items: number;
          unsafe: number[];
          next: boolean;
          ack: readonly number[];
        }[] = [];
        let safe = 0;

        from(shuffled)
          .pipe(
            map((index) => batches[index] ?? []),
            tap((batch) => {
              for (const item of batch) acknowledged.add(item);
            }),
            toCheckpoints,
          )
          .subscribe(({ last, items, acknowledgement }) => {
            const unsafe = [...Array(last + 1).keys()].filter((item) => !acknowledged.has(item));
            seen.push({ last, items, unsafe, next: acknowledged.has(last + 1), ack: acknowledgement });
          });

        for (const { last, items, unsafe, next, ack } of seen) {
          expect(items).toBeGreaterThan(0);
          expect(last).toBe(safe + items - 1);
          expect(unsafe).toEqual([]);
          expect(next).toBe(false);
          expect(ack).toContain(safe);
          safe += items;
        }

        let expectedSafe = 0;
        while (acknowledged.has(expectedSafe)) expectedSafe += 1;
        expect(safe).toBe(expectedSafe);
      }),
    );
  });

  it("is at the last item when all are acknowledged, whichever way they interleave", () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 30 })
          .chain((n) => fc.shuffledSubarray([...Array(n).keys()], { minLength: n })),
        (order) => {
          const lasts: number[] = [];
          range(0, order.length)
            .pipe(
              map((index) => [order[index] ?? -1]),
              toCheckpoints,
              map(({ last }) => last),
              toArray(),
            )
            .subscribe((all) => lasts.push(...all));

          expect(lasts.at(-1)).toBe(order.length - 1);
          expect(lasts).toEqual([...lasts].sort((a, b) => a - b));
        },
      ),
    );
  });

  it("counts an item that is acknowledged again once", () => {
    const seen: unknown[] = [];

    of([0], [0, 1], [1], [2])
      .pipe(toCheckpoints)
      .subscribe(({ last, items }) => seen.push([last, items]));

    expect(seen).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
    ]);
  });

  it.each([Number.NaN, -1, 0.5])("ends with an error when ordinalOf finds %d", (ordinal) =>
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot("  -A-----", acks);
      const sub = "         ^!     ";
      const error = new RangeError(`checkpoint: ordinalOf: found ${ordinal}, expected 0, 1, 2 and so on`);

      const result = source.pipe(
        checkpoint(
          (items: readonly number[]) => items,
          () => ordinal,
        ),
      );

      expectObservable(result).toBe("-#", undefined, error);
      expectSubscriptions(source.subscriptions).toBe(sub);
    })(),
  );
});
