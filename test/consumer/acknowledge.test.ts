import fc from "fast-check";
import {
  from,
  lastValueFrom,
  map,
  Observable,
  type OperatorFunction,
  of,
  Subject,
  throwError,
  timer,
  toArray,
} from "rxjs";
import { describe, expect, expectTypeOf, it } from "vitest";
import type { Verdict } from "../../src/consumer/delivery.ts";
import {
  type Acknowledged,
  type AcknowledgeOptions,
  acknowledge,
  type Delivery,
  effects,
  giveBack,
  type Handled,
  retryIn,
} from "../../src/consumer.ts";
import { fakeGroup } from "../../src/testing/fakeGroup.ts";
import { settledOtherwise } from "../kit/load/settledOtherwise.ts";
import { marbles } from "../kit/time/marbles.ts";

interface Order {
  readonly id: string;
  readonly customer: string;
}

const a: Order = { id: "a", customer: "ann" };
const b: Order = { id: "b", customer: "ben" };
const c: Order = { id: "c", customer: "ann" };
const FULL = new Error("the mail box is full");

/** A group with three deliveries. */
function three(options: Parameters<typeof fakeGroup>[0] = {}) {
  const group = fakeGroup<Order>({ redelivery: { initialMs: 3 }, ...options });
  return { group, values: { a: group.delivery(a), b: group.delivery(b), c: group.delivery(c) } };
}

const ids = map(({ delivery }: { readonly delivery: Delivery<Order> }) => delivery.event.id);
const customer = (order: Order) => order.customer;

/** A handler that does the next thing on the order's list each time. */
function handling(outputs: Readonly<Record<string, readonly Observable<unknown>[]>>) {
  const times = new Map<string, number>();
  return ({ id }: Order) => {
    const time = times.get(id) ?? 0;
    times.set(id, time + 1);
    return outputs[id]?.[time] ?? throwError(() => new Error(`no output ${time} for ${id}`));
  };
}

function thrown(): never {
  throw FULL;
}

const endedAtOnce = new Observable<string>((ending) => {
  ending.complete();
  return thrown;
});

describe("acknowledge", () => {
  it.each([
    ["a teardown", () => endedAtOnce, []],
    ["subscribing to it", () => Object.assign(new Observable<string>(), { subscribe: thrown }), ["a"]],
  ])("goes on where %s of what a handler gives throws", async (_what, output, again) => {
    const { group, values } = three({ redelivery: { initialMs: 1 } });
    const handled: string[] = [];
    const source = from([values.a, values.b, values.c]);

    const handler = ({ id }: Order) => {
      handled.push(id);
      return handled.length === 1 ? output() : of(id);
    };
    await lastValueFrom(source.pipe(acknowledge(handler)));

    expect(handled).toEqual(["a", "b", "c", ...again]);
    expect(group.acknowledged).toHaveLength(3);
  });

  it(
    "handles one delivery at a time by default, in the order in which they come",
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const { values } = three();
      const source = hot("     -abc-------|", values);
      const handleA = cold("    --|        ");
      const handleB = cold("      --|      ");
      const handleC = cold("        --|    ");
      const subA = "           -^-!        ";
      const subB = "           ---^-!      ";
      const expected = "       ---a-b-c---|";

      const result = source.pipe(acknowledge(handling({ a: [handleA], b: [handleB], c: [handleC] })), ids);

      expectObservable(result).toBe(expected);
      expectSubscriptions(handleA.subscriptions).toBe(subA);
      expectSubscriptions(handleB.subscriptions).toBe(subB);
    }),
  );

  it(
    "runs as many handlers at a time as concurrency allows, and emits as they end",
    marbles(({ hot, cold, expectObservable }) => {
      const { values } = three();
      const source = hot("-abc-------|", values);
      const handleA = cold("    ----|");
      const handleB = cold("     -|");
      const handleC = cold("      --|");
      const expected = "  ---b-(ac)--|";

      const result = source.pipe(
        acknowledge(handling({ a: [handleA], b: [handleB], c: [handleC] }), { concurrency: 2 }),
        ids,
      );

      expectObservable(result).toBe(expected);
    }),
  );

  it(
    "handles deliveries with the same key one after the other, whatever the concurrency",
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const { values } = three();
      const source = hot("   -abc-------|", values);
      const handleA = cold("  ----|");
      const handleB = cold("   ----|");
      const handleC = cold("      --|");
      const subC = "         -----^-!";
      const expected = "     -----abc---|";

      const result = source.pipe(
        acknowledge(handling({ a: [handleA], b: [handleB], c: [handleC] }), {
          concurrency: 10,
          orderBy: customer,
        }),
        ids,
      );

      expectObservable(result).toBe(expected);
      expectSubscriptions(handleC.subscriptions).toBe(subC);
    }),
  );

  it(
    "handles a delivery again after the backoff, and others meanwhile",
    marbles(({ hot, cold, expectObservable }) => {
      const { values } = three();
      const source = hot("-ab---------|", values);
      const failing = cold("--#", undefined, FULL);
      const again = cold("       --|");
      const handleB = cold("  --|");
      const expected = "  -----b--a---|";

      const result = source.pipe(acknowledge(handling({ a: [failing, again], b: [handleB] })), ids);

      expectObservable(result).toBe(expected);
    }),
  );

  it(
    "holds up the key of a delivery that failed, and no other one",
    marbles(({ hot, cold, expectObservable }) => {
      const { values } = three();
      const source = hot("-abc---------|", values);
      const failing = cold("#", undefined, FULL);
      const again = cold("   --|");
      const quick = cold("-|");
      const expected = "  ---b--ac-----|";

      const result = source.pipe(
        acknowledge(handling({ a: [failing, again], b: [quick], c: [cold("-|")] }), {
          concurrency: 10,
          orderBy: customer,
        }),
        ids,
      );

      expectObservable(result).toBe(expected);
    }),
  );

  it(
    "sets a delivery aside after maxDeliveries, and goes on with its key",
    marbles(({ hot, cold, expectObservable, flush }) => {
      const { group, values } = three({ maxDeliveries: 2 });
      const source = hot("-ac--------|", values);
      const failing = cold("#", undefined, FULL);
      const expected = "  -----c-----|";

      const result = source.pipe(
        acknowledge(handling({ a: [failing, failing], c: [cold("-|")] }), { orderBy: customer }),
        ids,
      );

      expectObservable(result).toBe(expected);
      flush();
      expect(group.deadLetters).toEqual([{ entryId: "1-0", reason: FULL }]);
      expect(group.acknowledged).toEqual(["3-0"]);
    }),
  );

  it(
    "rejects a delivery whose handler throws",
    marbles(({ hot, expectObservable, flush }) => {
      const { group, values } = three({ maxDeliveries: 1 });
      const source = hot("-ab|", values);
      const expected = "  --b|";

      const result = source.pipe(
        acknowledge(({ id }) => {
          if (id === "a") throw FULL;
          return undefined;
        }),
        ids,
      );

      expectObservable(result).toBe(expected);
      flush();
      expect(group.deadLetters).toEqual([{ entryId: "1-0", reason: FULL }]);
    }),
  );

  it(
    "waits after the source has completed until everything is settled",
    marbles(({ hot, cold, expectObservable }) => {
      const { values } = three();
      const source = hot("-a|", values);
      const handleA = cold("-----|");
      const expected = "  ------(a|)";

      const result = source.pipe(acknowledge(handling({ a: [handleA] })), ids);

      expectObservable(result).toBe(expected);
    }),
  );

  it(
    "passes an error of the source on, and unsubscribes the handlers",
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const { values } = three();
      const source = hot("    -a--#", values, FULL);
      const handleA = cold("   -----|");
      const subA = "          -^--!";
      const expected = "      ----#";

      const result = source.pipe(acknowledge(handling({ a: [handleA] })), ids);

      expectObservable(result).toBe(expected, undefined, FULL);
      expectSubscriptions(handleA.subscriptions).toBe(subA);
    }),
  );

  it(
    "unsubscribes source and handlers with it, and acknowledges nothing more",
    marbles(({ hot, cold, expectObservable, expectSubscriptions, flush }) => {
      const { group, values } = three();
      const source = hot("    -a-b-----|", values);
      const handleA = cold("   -----|");
      const unsub = "         ---!";
      const subA = "          -^-!";
      const expected = "      ----";

      const result = source.pipe(acknowledge(handling({ a: [handleA] })), ids);

      expectObservable(result, unsub).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe("^--!");
      expectSubscriptions(handleA.subscriptions).toBe(subA);
      flush();
      expect(group.acknowledged).toEqual([]);
    }),
  );

  it(
    "never completes or errs by itself when nothing comes",
    marbles(({ cold, expectObservable }) => {
      expectObservable(cold<Delivery<Order>>("-").pipe(acknowledge(() => undefined))).toBe("-");
      expectObservable(cold<Delivery<Order>>("|").pipe(acknowledge(() => undefined))).toBe("|");
    }),
  );

  it("writes the effects of a handler along with the acknowledgement, and hands on the last value of others", async () => {
    const { group, values } = three();

    const results = await lastValueFrom(
      from([values.a, values.b, values.c]).pipe(
        acknowledge((order): Observable<number> | ReturnType<typeof effects> =>
          order.id === "a" ? effects(["INCR", order.customer]) : of(1, 2),
        ),
        map(({ result }) => result),
        toArray(),
      ),
    );

    expect(results).toEqual([undefined, 2, 2]);
    expect(group.effects).toEqual([["INCR", "ann"]]);
  });

  it("leaves out a delivery that has become another consumer's while it waited", async () => {
    const { group, values } = three();
    const lost = settledOtherwise(values.a, () => ({
      mayStart: () => false,
      start: (begin) => begin("another's"),
    }));

    const handled = await lastValueFrom(
      from([lost, values.b]).pipe(
        acknowledge(() => undefined),
        ids,
        toArray(),
      ),
    );

    expect(handled).toEqual(["b"]);
    expect(group.acknowledged).toEqual(["2-0"]);
  });

  it(
    "rejects a delivery for which orderBy throws or gives no text, and handles the others",
    marbles(({ hot, expectObservable, flush }) => {
      const { group, values } = three({ maxDeliveries: 2 });
      const source = hot("-abc-------|", values);
      const expected = "  ---c-------|";
      const keys: Readonly<Record<string, () => unknown>> = {
        a: () => {
          throw FULL;
        },
        b: () => undefined,
        c: () => "ann",
      };

      const result = source.pipe(
        acknowledge(() => undefined, { orderBy: ({ id }) => keys[id]?.() as string }),
        ids,
      );

      expectObservable(result).toBe(expected);
      flush();
      expect(group.deadLetters).toEqual([
        { entryId: "1-0", reason: FULL },
        {
          entryId: "2-0",
          reason: new TypeError(
            "orderBy: found nothing, expected a text that is not empty: this event has no key",
          ),
        },
      ]);
    }),
  );

  it.each([
    ["nothing", undefined],
    ["null", null],
    ["a number", 5],
    ["a boolean", true],
    ["a text", "five"],
    ["an object", { total: 5 }],
    ["a symbol", Symbol("5")],
    ["a function", thrown],
    ["a Set", new Set([1, 2])],
    ["a Map", new Map([[1, 2]])],
  ])("is done with a delivery whose handler gives %s", async (_found, given) => {
    const { group, values } = three();

    const results = await lastValueFrom(
      from([values.a, values.b]).pipe(
        acknowledge(() => given),
        map(({ result }) => result),
        toArray(),
      ),
    );

    expect(results).toEqual([given, given]);
    expect(group.acknowledged).toEqual(["1-0", "2-0"]);
  });

  it.each<[string, () => Handled<unknown>]>([
    [
      "a generator",
      function* () {
        yield 1;
        yield 2;
      },
    ],
    [
      "an async generator",
      async function* () {
        yield 1;
        yield 2;
      },
    ],
    ["a list", () => [1, 2]],
    ["a Promise", async () => 2],
    ["an Observable", () => of(1, 2)],
    [
      "what is like a promise",
      () => Object.fromEntries(["then"].map((name) => [name, (done: (value: number) => void) => done(2)])),
    ],
  ])("takes the last value of %s", async (_name, handler) => {
    const { values } = three();

    const { result } = await lastValueFrom(from([values.a]).pipe(acknowledge(handler)));

    expect(result).toBe(2);
  });

  it.each<[string, () => unknown, RegExp]>([
    ["an Observable that this RxJS does not know", () => ({ subscribe: thrown, pipe: thrown }), /object/],
    ["what throws when it is looked at", () => new Proxy({}, { has: thrown }), /full/],
    ["what has a property that throws", () => Object.defineProperty({}, "next", { get: thrown }), /full/],
    ["later what throws when it is looked at", () => of(new Proxy({}, { has: thrown })), /full/],
  ])("rejects a delivery whose handler gives %s, and handles the next one", async (_name, given, reason) => {
    const { group, values } = three({ maxDeliveries: 1 });

    const handled = await lastValueFrom(
      from([values.a, values.b]).pipe(
        acknowledge(({ id }) => (id === "a" ? given() : undefined)),
        ids,
        toArray(),
      ),
    );

    expect(handled).toEqual(["b"]);
    expect(group.deadLetters).toEqual([
      { entryId: "1-0", reason: expect.objectContaining({ message: expect.stringMatching(reason) }) },
    ]);
  });

  it("knows the types of what handlers give", () => {
    type Of<R> = OperatorFunction<Delivery<Order>, Acknowledged<Order, R>>;
    const isA = ({ id }: Order) => id === "a";

    expectTypeOf(acknowledge(async (_order: Order) => 5)).toEqualTypeOf<Of<number>>();
    expectTypeOf(acknowledge((_order: Order) => of("text"))).toEqualTypeOf<Of<string>>();
    expectTypeOf(acknowledge((_order: Order) => "text" as string)).toEqualTypeOf<Of<string>>();
    expectTypeOf(acknowledge((order: Order) => console.log(order))).toEqualTypeOf<Of<void>>();
    expectTypeOf(acknowledge((order: Order) => new Set([order.id]))).toEqualTypeOf<Of<Set<string>>>();
    expectTypeOf(acknowledge((_order: Order) => effects(["INCR", "total"]))).toEqualTypeOf<Of<never>>();
    expectTypeOf(acknowledge(async (_order: Order) => effects(["INCR", "total"]))).toEqualTypeOf<Of<never>>();
    expectTypeOf(acknowledge(async (order: Order) => (isA(order) ? retryIn(5) : 5))).toEqualTypeOf<Of<5>>();
    expectTypeOf(acknowledge((order: Order) => (isA(order) ? giveBack() : undefined))).toEqualTypeOf<
      Of<undefined>
    >();
  });

  it.each([
    ["rejects with a value that has no text", () => Promise.reject(Object.create(null))],
    ["rejects with a symbol", () => Promise.reject(Symbol("no"))],
    ["rejects with nothing", () => Promise.reject(undefined)],
    // biome-ignore lint/suspicious/noThenProperty: what a library may give.
    ["gives a thenable that throws", () => ({ then: () => thrown() })],
    [
      "gives an Observable of another library that throws",
      () => ({ [Symbol.observable ?? "@@observable"]: thrown }),
    ],
  ])("rejects a delivery whose handler %s, and handles the next one", async (_name, give) => {
    const { group, values } = three({ maxDeliveries: 1 });

    const handled = await lastValueFrom(
      from([values.a, values.b]).pipe(
        acknowledge(({ id }) => (id === "a" ? (give() as never) : undefined)),
        ids,
        toArray(),
      ),
    );

    expect(handled).toEqual(["b"]);
    expect(group.deadLetters.map(({ entryId }) => entryId)).toEqual(["1-0"]);
  });

  it("keeps the key of a delivery whose handler changes its event", async () => {
    const group = fakeGroup<{ id: string }>();

    const handled = await lastValueFrom(
      from(["A", "A", "A"].map((id) => group.delivery({ id }))).pipe(
        acknowledge(
          async (event) => {
            event.id = event.id.toLowerCase();
          },
          { orderBy: ({ id }) => id, concurrency: 10 },
        ),
        map(({ delivery }) => delivery.entryId),
        toArray(),
      ),
    );

    expect(handled).toEqual(["1-0", "2-0", "3-0"]);
  });

  it(
    "hands back, unhandled, what comes after one of its key that is handed back, and handles other keys",
    marbles(({ hot, cold, expectObservable, flush }) => {
      const { group, values } = three();
      const handedBack: string[] = [];
      const stopping = (delivery: Delivery<Order>) =>
        settledOtherwise(delivery, (settler) => ({
          settle: (verdict: Verdict, told, removes) => {
            if (verdict.kind === "handled") {
              settler.settle(verdict, told, removes);
              return;
            }
            if (verdict.kind === "left") handedBack.push(delivery.entryId);
            told.next("kept");
          },
        }));
      const all = {
        a: stopping(values.a),
        b: stopping(values.b),
        c: stopping(values.c),
        d: stopping(group.delivery({ id: "d", customer: "ann" })),
      };
      const source = hot("  -abc---d-|", all);
      const failing = cold("---#", undefined, FULL);
      const handleB = cold(" -----|");
      const expected = "    -------b-|";

      const result = source.pipe(
        acknowledge(handling({ a: [failing], b: [handleB] }), { concurrency: 10, orderBy: customer }),
        ids,
      );

      expectObservable(result).toBe(expected);
      flush();
      expect(handedBack).toEqual(["3-0", "4-0"]);
    }),
  );

  it(
    "does not emit a delivery that was gone before it could be acknowledged, and goes on with its key",
    marbles(({ hot, expectObservable }) => {
      const { values } = three();
      const gone = settledOtherwise(values.a, () => ({ settle: (_verdict, told) => told.next("gone") }));
      const source = hot("-ac-|", { a: gone, c: values.c });
      const expected = "  --c-|";

      const result = source.pipe(
        acknowledge(() => undefined, { orderBy: customer }),
        ids,
      );

      expectObservable(result).toBe(expected);
    }),
  );

  it("handles what its own handler makes the source emit", async () => {
    const { group, values } = three();
    const source = new Subject<Delivery<Order>>();
    const handled: string[] = [];
    source
      .pipe(
        acknowledge(({ id }) => {
          handled.push(id);
          if (id === "a") source.next(values.b);
          return undefined;
        }),
      )
      .subscribe();

    source.next(values.a);

    expect(handled).toEqual(["a", "b"]);
    expect(group.acknowledged).toEqual(["1-0", "2-0"]);
  });

  it.each<[object, RegExp]>([
    [
      { concurrency: 0 },
      /^acknowledge: concurrency: found 0, expected a whole number from 1 on, or Infinity$/,
    ],
    [{ concurrency: Number.NaN }, /^acknowledge: concurrency: found NaN, /],
    [{ concurrency: 1.5 }, /^acknowledge: concurrency: found 1.5, /],
    [{ orderBy: "id" }, /^acknowledge: orderBy: found id, expected a function$/],
    [{ concurency: 5 }, /^acknowledge: concurency: no such option; did you mean concurrency\?$/],
  ])("refuses %o at once", (options, message) => {
    expect(() => acknowledge(() => undefined, options as AcknowledgeOptions<Order>)).toThrow(message);
  });

  it("handles every delivery, each key in order and never above the concurrency, whatever fails", async () => {
    const orders = fc.array(
      fc.record({
        customer: fc.constantFrom("ann", "ben", "cid"),
        failures: fc.integer({ min: 0, max: 2 }),
        ms: fc.integer({ min: 0, max: 2 }),
      }),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(orders, fc.integer({ min: 1, max: 4 }), async (orders, concurrency) => {
        const group = fakeGroup<{ n: number; customer: string }>({ redelivery: { initialMs: 1 } });
        const failures = orders.map(({ failures }) => failures);
        let running = 0;
        let most = 0;

        const done = await lastValueFrom(
          from(orders.map(({ customer }, n) => group.delivery({ n, customer }))).pipe(
            acknowledge(
              ({ n }) => {
                running += 1;
                most = Math.max(most, running);
                return timer(orders[n]?.ms ?? 0).pipe(
                  map(() => {
                    running -= 1;
                    const left = failures[n] ?? 0;
                    failures[n] = left - 1;
                    if (left > 0) throw FULL;
                  }),
                );
              },
              { concurrency, orderBy: ({ customer }) => customer },
            ),
            map(({ delivery }) => delivery.event),
            toArray(),
          ),
        );

        expect(most).toBeLessThanOrEqual(concurrency);
        expect(done.map(({ n }) => n).sort((x, y) => x - y)).toEqual(orders.map((_, n) => n));
        for (const name of ["ann", "ben", "cid"]) {
          const numbers = done.filter(({ customer }) => customer === name).map(({ n }) => n);
          expect(numbers).toEqual([...numbers].sort((x, y) => x - y));
        }
      }),
      { numRuns: 30 },
    );
  });
});
