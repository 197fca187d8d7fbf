import { concat, NEVER, type Observable, of, range, Subject, tap, throwError } from "rxjs";
import { describe, expect, expectTypeOf, it } from "vitest";
import { BufferOverflow } from "../../operators/boundedBuffer.ts";
import type { Flow } from "../../operators/flow.ts";
import { spread } from "../../operators/spread.ts";
import { toAsyncIterable } from "../../operators/toAsyncIterable.ts";

const FULL = new Error("full");

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}

describe("toAsyncIterable", () => {
  it("gives what is emitted, undefined too, then ends", async () => {
    expect(await all(toAsyncIterable(of(1, undefined, 3)))).toEqual([1, undefined, 3]);
    expectTypeOf(toAsyncIterable(of(1))).toEqualTypeOf<AsyncIterable<number>>();
  });

  it("gives an error behind the values before it, once", async () => {
    const iterator = toAsyncIterable(
      concat(
        of(1),
        throwError(() => FULL),
      ),
    )[Symbol.asyncIterator]();

    expect(await iterator.next()).toEqual({ done: false, value: 1 });
    await expect(iterator.next()).rejects.toBe(FULL);
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  it.each<[string, (iterable: AsyncIterable<number>) => Promise<void>]>([
    [
      "break",
      async (values) => {
        for await (const value of values) if (value === 2) break;
      },
    ],
    [
      "return",
      async (values) => {
        for await (const value of values) if (value === 2) return;
      },
    ],
    [
      "an error",
      async (values) => {
        await expect(async () => {
          for await (const _ of values) throw FULL;
        }).rejects.toBe(FULL);
      },
    ],
  ])("unsubscribes where the loop is left by %s", async (_how, loop) => {
    const source = new Subject<number>();
    let subscriptions = 0;
    let isOver = false;
    const values = concat(range(1, 5), source).pipe(
      tap({
        subscribe: () => {
          subscriptions += 1;
        },
        finalize: () => {
          isOver = true;
        },
      }),
    );
    const iterable = toAsyncIterable(values);
    expect(subscriptions).toBe(0);
    await loop(iterable);

    expect([subscriptions, isOver, source.observed]).toEqual([1, true, false]);
  });

  it("answers those that wait when it is left, and when it ends", async () => {
    const left = toAsyncIterable(NEVER)[Symbol.asyncIterator]();
    const waiting = [left.next(), left.next()];
    expect(await left.return?.()).toEqual({ done: true, value: undefined });
    expect(await Promise.all(waiting)).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);

    const source = new Subject<number>();
    const failing = toAsyncIterable(source)[Symbol.asyncIterator]();
    const asked = [failing.next(), failing.next(), failing.next()];
    source.next(1);
    source.error(FULL);
    expect(await Promise.allSettled(asked)).toMatchObject([
      { value: { value: 1 } },
      { reason: FULL },
      { value: { done: true } },
    ]);
  });

  it("is left before it has begun without a subscription, and stays so", async () => {
    let subscriptions = 0;
    const iterator = toAsyncIterable(
      of(1).pipe(
        tap({
          subscribe: () => {
            subscriptions += 1;
          },
        }),
      ),
    )[Symbol.asyncIterator]();
    await iterator.return?.();

    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    expect(subscriptions).toBe(0);
  });

  it("pauses a source that heeds it, which then holds few", async () => {
    const told: Flow[] = [];
    let emitted = 0;
    let given = 0;
    let most = 0;
    const source = (flow: Observable<Flow>) =>
      of(Array.from({ length: 10_000 }, (_, n) => n)).pipe(
        spread(flow.pipe(tap((signal) => told.push(signal)))),
        tap(() => {
          emitted += 1;
          most = Math.max(most, emitted - given);
        }),
      );
    for await (const value of toAsyncIterable(source, { maxItems: 16 })) {
      expect(value).toBe(given);
      given += 1;
    }

    expect(given).toBe(10_000);
    expect(most).toBeLessThanOrEqual(9);
    expect(told).toContain("pause");
  });

  it("fails where a source goes on, and gives what came before", async () => {
    const iterator = toAsyncIterable(range(1, Number.POSITIVE_INFINITY), { maxItems: 3 })[
      Symbol.asyncIterator
    ]();
    const found = [];
    for (let n = 0; n < 4; n += 1) found.push((await iterator.next()).value);

    expect(found).toEqual([1, 2, 3, 4]);
    await expect(iterator.next()).rejects.toThrow(BufferOverflow);
  });

  it("gives what a source throws that cannot be made", async () => {
    const values = toAsyncIterable((): Observable<number> => {
      throw FULL;
    });
    await expect(all(values)).rejects.toBe(FULL);
  });

  it.each([0, Number.NaN, "5" as never])("refuses maxItems of %s", (maxItems) => {
    expect(() => toAsyncIterable(NEVER, { maxItems })).toThrow(/^toAsyncIterable: maxItems: found /);
  });
});
