import fc from "fast-check";
import {
  BehaviorSubject,
  concatMap,
  concatWith,
  delay,
  identity,
  ignoreElements,
  map,
  merge,
  NEVER,
  Observable,
  type OperatorFunction,
  range,
  Subject,
  take,
  timer,
} from "rxjs";
import { describe, expect, it } from "vitest";
import {
  type BoundedBufferOptions,
  BufferOverflow,
  boundedBuffer,
  type Fill,
} from "../../operators/boundedBuffer.ts";
import type { Flow } from "../../operators/flow.ts";
import { marbles } from "../kit/time/marbles.ts";

const LOADING = new Error("LOADING Redis is loading the dataset in memory");
const flows = { P: "pause", R: "resume" };
const one = () => ({ items: 1, bytes: 0 });

/** Holds single items for 5 ms. */
function held(options: Partial<BoundedBufferOptions<string, string>> = {}) {
  return boundedBuffer({ released: one, ...options }, delay<string>(5));
}

/** Items of so many bytes as they are long. */
const byLength = {
  sizeOf: (item: string) => item.length,
  released: (item: string) => ({ items: 1, bytes: item.length }),
};

describe("boundedBuffer", () => {
  it.each([
    { overflow: "dropNewest", drops: "-----e", expected: "------abcd-----|" },
    { overflow: "dropOldest", drops: "-----c", expected: "------ab---de--|" },
  ] as const)("drops what does not fit, as $overflow says", async ({ overflow, drops, expected }) => {
    await marbles(({ hot, expectObservable }) => {
      const dropped = new Subject<string>();
      const source = hot("-abcde---------|");

      const result = source.pipe(held({ maxItems: 4, overflow, dropped }));

      expectObservable(dropped).toBe(drops);
      expectObservable(result).toBe(expected);
    })();
  });

  it("keeps the order of what the source emits from within being told of a drop", () => {
    const source = new Subject<string>();
    const drops: string[] = [];
    const results: string[] = [];
    const release = new Subject<void>();
    const dropped = {
      next: (item: string) => {
        drops.push(item);
        if (drops.length === 1) source.next("f");
      },
    };
    source
      .pipe(
        boundedBuffer({ released: one, maxItems: 4, overflow: "dropOldest", dropped }, (items) =>
          items.pipe(
            concatMap((item) =>
              release.pipe(
                take(1),
                map(() => item),
              ),
            ),
          ),
        ),
      )
      .subscribe((item) => results.push(item));
    for (const item of "abcde") source.next(item);
    for (let i = 0; i < 4; i += 1) release.next();

    expect(drops).toEqual(["c", "d"]);
    expect(results).toEqual(["a", "b", "e", "f"]);
  });

  it(
    "gives the chain what waits when the source ends, before its end",
    marbles(({ hot, expectObservable }) => {
      const source = hot("    -abcd(e|)");
      const expected = "      ------ab--(de|)";

      expectObservable(source.pipe(held({ maxItems: 4, overflow: "dropOldest" }))).toBe(expected);
    }),
  );

  it(
    "pauses the source at half of a bound, and resumes it at a quarter",
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const flow = new Subject<Flow>();
      const source = hot("     -abc---d---|");
      const sub = "            ^----------!";
      const expectedFlow = "   --P-----R---";
      const expected = "       ------abc---(d|)";

      const result = source.pipe(held({ maxItems: 4, flow }));

      expectObservable(flow).toBe(expectedFlow, flows);
      expectObservable(result).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "stays silent on a source that never emits",
    marbles(({ hot, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const flow = new Subject<Flow>();
      const source = hot("  -----");
      const unsub = "       ^---!";
      const expected = "    -----";

      const result = source.pipe(held({ flow }));

      expectObservable(flow).toBe(expected);
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

      expectObservable(source.pipe(held())).toBe(expected);
    }),
  );

  it(
    "completes when the chain has drained",
    marbles(({ cold, expectObservable, expectNothingPending }) => {
      const source = cold(" -a|       ");
      const sub = "         ^-----!   ";
      const expected = "    ------(a|)";

      const result = source.pipe(held());

      expectObservable(result).toBe(expected);
      expectNothingPending(sub);
    }),
  );

  it(
    "takes items up to the bound, and the next when one has left",
    marbles(({ cold, expectObservable }) => {
      const source = cold(" ab----c----|   ");
      const expected = "    -----ab----(c|)";

      const result = source.pipe(held({ maxItems: 2 }));

      expectObservable(result).toBe(expected);
    }),
  );

  it(
    "drains, then fails, when an item is one too many",
    marbles(({ hot, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = hot("  -abc------");
      const sub = "         ^--!      ";
      const end = "         ^------!  ";
      const expected = "    ------a(b#)";

      const result = source.pipe(held({ maxItems: 2 }));

      expectObservable(result).toBe(expected, undefined, new BufferOverflow({ items: 2, bytes: 0 }));
      expectSubscriptions(source.subscriptions).toBe(sub);
      expectNothingPending(end);
    }),
  );

  it(
    "drains, then fails, when the bytes of an item are too many",
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold(" -abc--    ", { a: "aa", b: "bbb", c: "c" });
      const sub = "         ^--!      ";
      const expected = "    ------a(b#)";

      const result = source.pipe(held({ maxBytes: 5, ...byLength }));

      expectObservable(result).toBe(
        expected,
        { a: "aa", b: "bbb" },
        new BufferOverflow({ items: 2, bytes: 5 }),
      );
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "takes an item that is larger than maxBytes, if nothing has told the source to pause",
    marbles(({ cold, expectObservable }) => {
      const flow = new Subject<Flow>();
      const values = { a: "aa", b: "bbbbbbbb" };
      const source = cold("    a-b|        ", values);
      const expectedFlow = "   --P----R    ";
      const expected = "       -----a-(b|) ";

      const result = source.pipe(held({ maxBytes: 5, ...byLength, flow }));

      expectObservable(flow).toBe(expectedFlow, flows);
      expectObservable(result).toBe(expected, values);
    }),
  );

  it(
    "tells of an overflow at once, before the chain has drained",
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const overflowed = new Subject<BufferOverflow>();
      const overflow = new BufferOverflow({ items: 2, bytes: 0 });
      const source = hot("  -abc------");
      const sub = "         ^--!      ";
      const told = "        ---o      ";
      const expected = "    ------a(b#)";

      const result = source.pipe(held({ maxItems: 2, overflowed }));

      expectObservable(overflowed).toBe(told, { o: overflow });
      expectObservable(result).toBe(expected, undefined, overflow);
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "keeps what comes before the chain subscribes, in order",
    marbles(({ hot, expectObservable, expectNothingPending }) => {
      const source = hot("  ab--------c|");
      const expected = "    ---(ab)---c|";
      const late: OperatorFunction<string, string> = (input) => timer(3).pipe(concatMap(() => input));

      const result = source.pipe(boundedBuffer({ released: one }, late));

      expectObservable(result).toBe(expected);
      expectNothingPending("-----------!");
    }),
  );

  it(
    "bounds what waits for the chain to subscribe, and completes and fails behind it",
    marbles(({ cold, expectObservable }) => {
      const late: OperatorFunction<string, string> = (input) => timer(3).pipe(concatMap(() => input));
      const overflow = new BufferOverflow({ items: 2, bytes: 0 });

      expectObservable(cold("ab|").pipe(boundedBuffer({ released: one }, late))).toBe("---(ab|)");
      expectObservable(cold("ab#").pipe(boundedBuffer({ released: one }, late))).toBe("---(ab#)");
      expectObservable(cold("(abc)").pipe(boundedBuffer({ maxItems: 2, released: one }, late))).toBe(
        "---(ab#)",
        undefined,
        overflow,
      );
    }),
  );

  it(
    "ends with an error when the chain subscribes to its input twice, rather than lose items",
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot("-ab-");
      const twice: OperatorFunction<string, string> = (input) => merge(input, input);
      const error = new Error("boundedBuffer: the chain subscribes to its input twice, expected once");

      const result = source.pipe(boundedBuffer({ released: one }, twice));

      expectObservable(result).toBe("#", undefined, error);
      expectSubscriptions(source.subscriptions).toBe([]);
    }),
  );

  it(
    "pauses and resumes by bytes as well",
    marbles(({ hot, expectObservable }) => {
      const flow = new Subject<Flow>();
      const source = hot("     -abc------|", { a: "aaa", b: "b", c: "cc" });
      const expectedFlow = "   --P----R---";
      const expected = "       ------abc-|";

      const result = source.pipe(held({ maxBytes: 8, ...byLength, flow }));

      expectObservable(flow).toBe(expectedFlow, flows);
      expectObservable(result).toBe(expected, { a: "aaa", b: "b", c: "cc" });
    }),
  );

  it(
    "brings an error of the source out when the chain has drained",
    marbles(({ cold, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = cold(" -a#       ", undefined, LOADING);
      const sub = "         ^-!       ";
      const end = "         ^-----!   ";
      const expected = "    ------(a#)";

      const result = source.pipe(held());

      expectObservable(result).toBe(expected, undefined, LOADING);
      expectSubscriptions(source.subscriptions).toBe(sub);
      expectNothingPending(end);
    }),
  );

  it(
    "ends at once with an error of the chain",
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const failing = cold<string>("---#", undefined, LOADING);
      const source = hot("          -a------");
      const sub = "                 ^--!    ";
      const expected = "            ---#    ";

      const result = source.pipe(boundedBuffer({ released: one }, () => failing));

      expectObservable(result).toBe(expected, undefined, LOADING);
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "ends with an error of the chain while it drains after one of the source",
    marbles(({ cold, expectObservable }) => {
      const failing = cold<string>("---#", undefined, LOADING);
      const source = cold("         -#  ", undefined, new Error("the source's"));
      const expected = "            ---#";

      const result = source.pipe(boundedBuffer({ released: one }, () => failing));

      expectObservable(result).toBe(expected, undefined, LOADING);
    }),
  );

  it(
    "completes and lets go of the source when the chain completes by itself",
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot("  -a-b-c---");
      const sub = "         ^--!     ";
      const expected = "    -a-(b|)  ";

      const result = source.pipe(boundedBuffer({ released: one }, take<string>(2)));

      expectObservable(result).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "lets go of the source and the chain when unsubscribed",
    marbles(({ hot, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = hot("  -ab-----");
      const unsub = "       ^---!   ";
      const expected = "    --------";

      const result = source.pipe(held());

      expectObservable(result, unsub).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(unsub);
      expectNothingPending(unsub);
    }),
  );

  it(
    "resumes a paused source when unsubscribed",
    marbles(({ hot, expectObservable }) => {
      const flow = new Subject<Flow>();
      const source = hot("     -ab-----");
      const unsub = "          ^---!   ";
      const expectedFlow = "   --P-R---";

      const result = source.pipe(held({ maxItems: 4, flow }));

      expectObservable(flow).toBe(expectedFlow, flows);
      expectObservable(result, unsub).toBe("");
    }),
  );

  it(
    "tells nothing more after it has resumed when a result makes downstream unsubscribe",
    marbles(({ hot, expectObservable, expectNothingPending }) => {
      const flow = new Subject<Flow>();
      const source = hot("     -(ab)-----");
      const sub = "            ^-----!   ";
      const expectedFlow = "   -P----R---";
      const expected = "       ------(a|)";

      const result = source.pipe(held({ maxItems: 4, flow }), take(1));

      expectObservable(flow).toBe(expectedFlow, flows);
      expectObservable(result).toBe(expected);
      expectNothingPending(sub);
    }),
  );

  it(
    "starts a second subscription empty",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  (ab|)        ");
      const unsub = "        ^-!          ";
      const expected = "     ---          ";
      const again = "        ---^         ";
      const expectedAgain = "--------(ab|)";

      const result = source.pipe(held({ maxItems: 2 }));

      expectObservable(result, unsub).toBe(expected);
      expectObservable(result, again).toBe(expectedAgain);
    }),
  );

  it(
    "tells how much is inside when that shrinks, has grown by a tenth, or the flow changes",
    marbles(({ hot, expectObservable }) => {
      const fill = new Subject<Fill>();
      const source = hot("     -ab-------|", { a: "aa", b: "b" });
      const expectedFill = "   -wx---y(zz)";
      const values = {
        w: { items: 1, bytes: 2 },
        x: { items: 2, bytes: 3 },
        y: { items: 1, bytes: 1 },
        z: { items: 0, bytes: 0 },
      };

      const result = source.pipe(held({ maxItems: 3, ...byLength, fill }));

      expectObservable(fill).toBe(expectedFill, values);
      expectObservable(result).toBe("------ab--|", { a: "aa", b: "b" });
    }),
  );

  const throwLoading = () => {
    throw LOADING;
  };
  const throwing: Readonly<Record<string, Partial<BoundedBufferOptions<string, string>>>> = {
    sizeOf: { sizeOf: throwLoading },
    released: { released: throwLoading },
    fill: { fill: { next: throwLoading } },
  };

  it.each(Object.entries(throwing))("ends with what %s throws", (_, options) =>
    marbles(({ hot, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = hot("  -a----");
      const sub = "         ^!    ";
      const expected = "    -#    ";

      const result = source.pipe(
        boundedBuffer({ maxItems: 2, released: one, ...options }, map(identity<string>)),
      );

      expectObservable(result).toBe(expected, undefined, LOADING);
      expectSubscriptions(source.subscriptions).toBe(sub);
      expectNothingPending(sub);
    })(),
  );

  it(
    "ends with what flow throws, when the chain has drained",
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot("  -ab---   ");
      const sub = "         ^!       ";
      const expected = "    ------(a#)";
      const flow = { next: (signal: Flow) => (signal === "pause" ? throwLoading() : undefined) };

      const result = source.pipe(held({ maxItems: 2, flow }));

      expectObservable(result).toBe(expected, undefined, LOADING);
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "ends with what overflowed throws, when the chain has drained",
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot("  -ab---   ");
      const sub = "         ^-!      ";
      const expected = "    ------(a#)";

      const result = source.pipe(held({ maxItems: 1, overflowed: { next: throwLoading } }));

      expectObservable(result).toBe(expected, undefined, LOADING);
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "ends with what the chain throws when it is made",
    marbles(({ hot, expectObservable }) => {
      const result = hot("-a-").pipe(boundedBuffer({ released: one }, throwLoading));

      expectObservable(result).toBe("#", undefined, LOADING);
    }),
  );

  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY])("drains, then ends with a size of %d", (size) =>
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const flow = new Subject<Flow>();
      const source = hot("  -ab-      ");
      const sub = "         ^-!       ";
      const expected = "    ------(a#)";
      const error = new RangeError(`boundedBuffer: sizeOf: found ${size}, expected a number from 0 on`);

      const result = source.pipe(held({ sizeOf: (item) => (item === "a" ? 1 : size), flow }));

      expectObservable(flow).toBe("-----");
      expectObservable(result).toBe(expected, undefined, error);
      expectSubscriptions(source.subscriptions).toBe(sub);
    })(),
  );

  it.each<readonly [Fill, string]>([
    [{ items: Number.NaN, bytes: 0 }, "released.items: found NaN"],
    [{ items: 1, bytes: -1 }, "released.bytes: found -1"],
  ])("ends when a result says that %o have left", (left, found) =>
    marbles(({ hot, expectObservable }) => {
      const error = new RangeError(`boundedBuffer: ${found}, expected a number from 0 on`);

      const result = hot("-a-").pipe(held({ released: () => left }));

      expectObservable(result).toBe("------#", undefined, error);
    })(),
  );

  it.each<readonly [Partial<BoundedBufferOptions<string, string>>, string]>([
    [{ maxItems: 0 }, "maxItems: found 0, expected a number from 1 on"],
    [{ maxItems: Number.NaN }, "maxItems: found NaN, expected a number from 1 on"],
    [{ maxBytes: -1 }, "maxBytes: found -1, expected a number from 1 on"],
  ])("refuses bounds of %o at once", (bounds, message) => {
    expect(() => held(bounds)).toThrow(`boundedBuffer: ${message}`);
  });

  it("loses and overtakes nothing when the source goes on, or completes, from within being told", () => {
    const flow = new BehaviorSubject<Flow>("resume");
    const release = new Subject<void>();
    const results: number[] = [];
    let next = 0;
    const source = new Observable<number>((subscriber) =>
      flow.subscribe(() => {
        while (flow.value === "resume" && next < 100) subscriber.next(next++);
        if (next === 100) subscriber.complete();
      }),
    );

    source
      .pipe(
        boundedBuffer(
          { maxItems: 7, released: one, flow },
          concatMap((item) =>
            release.pipe(
              take(1),
              map(() => item),
            ),
          ),
        ),
      )
      .subscribe((item) => results.push(item));
    for (let turn = 0; turn < 100; turn += 1) release.next();

    expect(results).toEqual([...Array(100).keys()]);
  });

  it("stops an endless synchronous source that goes on although the buffer is full", () => {
    let failure: unknown;

    range(0, Number.POSITIVE_INFINITY)
      .pipe(boundedBuffer({ maxItems: 3, released: one }, ignoreElements()))
      .subscribe({ error: (error) => (failure = error) });

    expect(failure).toEqual(new BufferOverflow({ items: 3, bytes: 0 }));
  });

  it("stops an endless synchronous source when the result is unsubscribed", () => {
    const results: number[] = [];

    range(0, Number.POSITIVE_INFINITY)
      .pipe(boundedBuffer({ maxItems: 1, released: one }, map(identity<number>)), take(3))
      .subscribe((result) => results.push(result));

    expect(results).toEqual([0, 1, 2]);
  });

  it("has room again for what a result makes the source emit", () => {
    const source = new Subject<number>();
    const results: number[] = [];

    source.pipe(boundedBuffer({ maxItems: 1, released: one }, map(identity<number>))).subscribe((n) => {
      results.push(n);
      if (n < 3) source.next(n + 1);
    });
    source.next(0);

    expect(results).toEqual([0, 1, 2, 3]);
  });

  it.each([
    ["20,000 items", 0, { items: 20_000, bytes: 0 }],
    ["64 MiB", 1024 * 1024, { items: 64, bytes: 64 * 1024 * 1024 }],
  ])("holds %s unless told otherwise", (_, size, fill) => {
    let failure: unknown;

    range(0, 30_000)
      .pipe(concatWith(NEVER), boundedBuffer({ sizeOf: () => size, released: one }, ignoreElements()))
      .subscribe({ error: (error) => (failure = error) });

    expect(failure).toMatchObject({ name: "BufferOverflow", fill });
  });

  it("says in its error what was found", () => {
    expect(new BufferOverflow({ items: 7, bytes: 90 }).message).toBe(
      "the buffer is full with 7 items, 90 bytes, and the source goes on",
    );
  });
});

/** A chain that holds items until they are released, and the rest until its input completes. */
function gate(): {
  readonly chain: OperatorFunction<number, number[]>;
  readonly release: (count: number) => void;
} {
  const inside: number[] = [];
  const out = new Subject<number[]>();
  return {
    chain: (input) =>
      new Observable((subscriber) => {
        subscriber.add(out.subscribe(subscriber));
        subscriber.add(
          input.subscribe({
            next: (item) => inside.push(item),
            complete: () => {
              out.next(inside.splice(0));
              out.complete();
            },
          }),
        );
      }),
    release: (count) => out.next(inside.splice(0, count)),
  };
}

const sum = (sizes: readonly number[]) => sizes.reduce((total, size) => total + size, 0);

interface Step {
  readonly kind: "item" | "release";
  readonly size: number;
}

interface Bounds {
  readonly maxItems: number;
  readonly maxBytes: number;
}

const bounds = fc.record({
  maxItems: fc.integer({ min: 1, max: 12 }),
  maxBytes: fc.integer({ min: 1, max: 60 }),
});
/** Items by their size, and releases by their number. */
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("item" as const), size: fc.integer({ min: 0, max: 20 }) }),
    fc.record({ kind: fc.constant("release" as const), size: fc.integer({ min: 0, max: 6 }) }),
  ),
  { maxLength: 60 },
);

/** Takes the steps, with a source that heeds `flow` or does not, then completes the source. */
function run(
  limits: Bounds,
  todo: readonly Step[],
  heedsFlow: boolean,
  overflow: "error" | "dropOldest" | "dropNewest" = "error",
) {
  const source = new Subject<number>();
  const { chain, release } = gate();
  const signals: Flow[] = [];
  const fills: Fill[] = [];
  const emitted: number[] = [];
  const results: number[] = [];
  const dropped: number[] = [];
  const ends: unknown[] = [];

  source
    .pipe(
      boundedBuffer(
        {
          ...limits,
          overflow,
          dropped: { next: (size) => dropped.push(size) },
          sizeOf: identity,
          released: (sizes) => ({ items: sizes.length, bytes: sum(sizes) }),
          flow: { next: (signal) => signals.push(signal) },
          fill: { next: (fill) => fills.push(fill) },
        },
        chain,
      ),
    )
    .subscribe({
      next: (sizes) => results.push(...sizes),
      error: (error) => ends.push(error),
      complete: () => ends.push("complete"),
    });
  for (const { kind, size } of todo) {
    if (kind === "release") {
      release(size);
    } else if (!heedsFlow || signals.at(-1) !== "pause") {
      emitted.push(size);
      source.next(size);
    }
  }
  source.complete();
  return { signals, fills, emitted, results, dropped, ends };
}

/** What has to come of the steps when the source does not heed `flow`. */
function model({ maxItems, maxBytes }: Bounds, todo: readonly Step[]) {
  const inside: number[] = [];
  const taken: number[] = [];
  const signals: Flow[] = [];
  let end: unknown = "complete";
  const share = () => Math.max(inside.length / maxItems, sum(inside) / maxBytes);
  for (const { kind, size } of todo) {
    if (kind === "release") {
      inside.splice(0, size);
      if (signals.at(-1) === "pause" && share() <= 0.25) signals.push("resume");
    } else if (signals.at(-1) === "pause" && (inside.length === maxItems || sum(inside) + size > maxBytes)) {
      end = new BufferOverflow({ items: inside.length, bytes: sum(inside) });
      break;
    } else {
      inside.push(size);
      taken.push(size);
      if (signals.at(-1) !== "pause" && share() >= 0.5) signals.push("pause");
    }
  }
  if (signals.at(-1) === "pause") signals.push("resume");
  return { taken, signals, end };
}

describe("boundedBuffer, for all bounds, items and releases,", () => {
  it("takes what fits, drains and fails at the first item that does not, and says when to pause", () => {
    fc.assert(
      fc.property(bounds, steps, (limits, todo) => {
        const { signals, results, ends } = run(limits, todo, false);
        const expected = model(limits, todo);

        expect(results).toEqual(expected.taken);
        expect(ends).toEqual([expected.end]);
        expect(signals).toEqual(expected.signals);
      }),
      { numRuns: 300 },
    );
  });

  it("never holds more than its bounds, or half of maxBytes and one item", () => {
    fc.assert(
      fc.property(bounds, steps, (limits, todo) => {
        const { fills, emitted } = run(limits, todo, false);
        const maxBytes = Math.max(limits.maxBytes, limits.maxBytes / 2 + Math.max(0, ...emitted));
        const overfull = fills.filter(
          ({ items, bytes }) => items < 0 || bytes < 0 || items > limits.maxItems || bytes > maxBytes,
        );

        expect(overfull).toEqual([]);
        if (fills.length > 0) expect(fills.at(-1)).toEqual({ items: 0, bytes: 0 });
      }),
    );
  });

  it("loses nothing and never fails with a source that heeds flow, whatever the size of its items", () => {
    fc.assert(
      fc.property(bounds, steps, (limits, todo) => {
        const huge = todo.map(({ kind, size }) => ({ kind, size: kind === "item" ? size ** 2 : size }));
        const { emitted, results, ends } = run(limits, huge, true);

        expect(results).toEqual(emitted);
        expect(ends).toEqual(["complete"]);
      }),
    );
  });

  it("drops only what does not fit, in the order of what is left, as it is told", () => {
    fc.assert(
      fc.property(bounds, steps, fc.constantFrom("dropOldest", "dropNewest"), (limits, todo, overflow) => {
        const { fills, emitted, results, dropped, ends } = run(limits, todo, false, overflow);
        const { taken } = model(limits, todo);
        const maxBytes = Math.max(limits.maxBytes, limits.maxBytes / 2 + Math.max(0, ...emitted));

        expect(ends).toEqual(["complete"]);
        expect([...results, ...dropped].sort()).toEqual([...emitted].sort());
        expect(isSubsequence(results, emitted)).toBe(true);
        if (dropped.length === 0) expect(results).toEqual(emitted);
        if (overflow === "dropNewest") {
          // Nothing is dropped before it would have been an error.
          expect(results.slice(0, taken.length)).toEqual(taken);
          expect(dropped[0]).toBe(emitted[taken.length]);
        }
        for (const { items, bytes } of fills) {
          expect(items).toBeLessThanOrEqual(limits.maxItems);
          expect(bytes).toBeLessThanOrEqual(maxBytes);
        }
        if (fills.length > 0) expect(fills.at(-1)).toEqual({ items: 0, bytes: 0 });
      }),
      { numRuns: 500 },
    );
  });
});

function isSubsequence(some: readonly number[], all: readonly number[]): boolean {
  let found = 0;
  for (const one of all) if (one === some[found]) found += 1;
  return found === some.length;
}
