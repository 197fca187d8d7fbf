import { from, lastValueFrom, map, type Observable, of, Subject, take, tap, throwError, toArray } from "rxjs";
import { describe, expect, expectTypeOf, it } from "vitest";
import {
  type AcknowledgeBatchOptions,
  type Acknowledged,
  acknowledgeBatch,
  type Delivery,
  deadLetter,
  deduplicate,
  effects,
  giveBack,
  retryIn,
} from "../../src/consumer.ts";
import { fakeGroup } from "../../src/testing/fakeGroup.ts";
import { type Order, ordersGroup } from "../kit/load/ordersGroup.ts";
import { watched } from "../kit/load/watched.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { marbles } from "../kit/time/marbles.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

const redis = emptyRedis();
const { add, deliveries, pending, consumers } = ordersGroup(redis);
const FULL = new Error("the table is full");
const quick = { redelivery: { initialMs: 3 } };

const eventOf = <E>({ delivery }: { readonly delivery: Delivery<E> }) => delivery.event;

/** Handles the first entries, and gives the batches that a handler was given, as texts. */
async function batched(
  events: readonly string[],
  handler: (events: readonly string[]) => unknown,
  options: AcknowledgeBatchOptions = {},
  group = fakeGroup<string>({ maxDeliveries: 2, redelivery: { initialMs: 1 } }),
) {
  const batches: string[] = [];
  const acknowledged = await lastValueFrom(
    from(events.map((event) => group.delivery(event))).pipe(
      acknowledgeBatch((some) => {
        batches.push(some.join(""));
        return handler(some);
      }, options),
      map(eventOf),
      toArray(),
    ),
  );
  return { batches, acknowledged, group };
}

describe("acknowledgeBatch", () => {
  it(
    "gathers while it waits and while handlers are at work, and acknowledges a batch together",
    marbles(({ hot, cold, expectObservable }) => {
      const group = fakeGroup<string>();
      const [a, b, c, d] = [
        group.delivery("a"),
        group.delivery("b"),
        group.delivery("c"),
        group.delivery("d"),
      ];
      const source = hot("-ab--c--d-------------|", { a, b, c, d });
      const work = cold(" ------r|", { r: 5 });
      const expected = "   -----------(ab)---(cd)|";
      const batches: string[] = [];

      const result = source.pipe(
        acknowledgeBatch(
          (events) => {
            batches.push(events.join(""));
            return work;
          },
          { lingerMs: 3 },
        ),
        map(({ delivery, result }) => `${delivery.event}${result}`),
      );

      expectObservable(result).toBe(expected, { a: "a5", b: "b5", c: "c5", d: "d5" });
    }),
  );

  it("takes at most maxEvents, and what came together without a wait", async () => {
    const { batches, acknowledged } = await batched([..."abcdefg"], () => undefined, { maxEvents: 3 });

    expect(batches).toEqual(["abc", "def", "g"]);
    expect(acknowledged.join("")).toBe("abcdefg");
  });

  it("tries each alone, in order, where a batch fails, and counts no failure for those that were beside it", async () => {
    const { batches, acknowledged, group } = await batched([..."abcd"], (events) => {
      if (events.includes("b")) throw FULL;
    });

    expect(batches).toEqual(["abcd", "a", "b", "c", "d", "b"]);
    expect(acknowledged.join("")).toBe("acd");
    expect(group.deadLetters).toEqual([{ entryId: "2-0", reason: FULL }]);
  });

  it("runs as many handlers at a time as concurrency allows, those of single ones included", async () => {
    let running = 0;
    let most = 0;
    const { acknowledged } = await batched(
      Array.from({ length: 60 }, (_, index) => `${index},`),
      async (events) => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((done) => setTimeout(done, 1));
        running -= 1;
        if (events.length > 1) throw FULL;
      },
      { maxEvents: 10, concurrency: 2 },
    );

    expect(most).toBe(2);
    expect(acknowledged).toHaveLength(60);
  });

  it.each<[string, (events: readonly string[]) => unknown]>([
    ["a handler that ends at once", () => undefined],
    ["a handler that throws at once", (events) => (events.length > 1 ? throwError(() => FULL) : undefined)],
  ])("takes 5,000 with %s", async (_name, handler) => {
    const many = Array.from({ length: 5_000 }, (_, index) => `${index},`);

    const small = await batched(many, handler, { maxEvents: 1 });
    const large = await batched(many, handler, { maxEvents: 5_000 });

    expect(small.acknowledged).toEqual(many);
    expect(large.acknowledged).toEqual(many);
  });

  it("decides for each of them", async () => {
    let time = 0;
    const again = await batched([..."ab"], () => {
      time += 1;
      return time === 1 ? retryIn(1) : undefined;
    });
    expect(again.batches).toEqual(["ab", "a", "b"]);
    expect(again.acknowledged).toEqual(["a", "b"]);

    const dead = await batched([..."ab"], async () => deadLetter("no"));
    expect(dead.batches).toEqual(["ab"]);
    expect(dead.group.deadLetters.map(({ reason }) => reason)).toEqual(["no", "no"]);

    const back = await batched([..."ab"], () => of(giveBack()));
    expect(back.group.givenBack).toEqual(["1-0", "2-0"]);
  });

  it("refuses effects, which belong to one entry", async () => {
    const { group } = await batched([..."a"], () => effects(["INCR", "total"]));

    expect(group.effects).toEqual([]);
    expect(group.deadLetters).toMatchObject([
      { reason: { message: expect.stringMatching(/found effects/) } },
    ]);
  });

  it("goes by what was handed out, whatever a handler does to what it is given", async () => {
    const group = fakeGroup<string>();
    const acknowledged = await lastValueFrom(
      from([group.delivery("a"), group.delivery("b")]).pipe(
        acknowledgeBatch((events, all) => {
          (events as string[]).length = 0;
          (all as Delivery<string>[]).length = 0;
        }),
        map(eventOf),
        toArray(),
      ),
    );

    expect(acknowledged).toEqual(["a", "b"]);
  });

  it("unsubscribes its handlers", () => {
    const group = fakeGroup<string>();
    let isOver = false;
    const handler = () =>
      new Subject<void>().pipe(tap({ unsubscribe: () => (isOver = true) })) as Observable<void>;
    const source = new Subject<Delivery<string>>();
    const running = source.pipe(acknowledgeBatch(handler, { maxEvents: 1 })).subscribe();
    source.next(group.delivery("a"));
    running.unsubscribe();

    expect(isOver).toBe(true);
    expect(source.observed).toBe(false);
  });

  it("ends with the error of its source, and refuses what is no delivery", async () => {
    const failing = throwError(() => FULL).pipe(acknowledgeBatch(() => undefined));
    const strange = of({} as Delivery<string>).pipe(acknowledgeBatch(() => undefined));

    await expect(lastValueFrom(failing)).rejects.toBe(FULL);
    await expect(lastValueFrom(strange)).rejects.toThrow(
      /^acknowledgeBatch: found what no consumer has handed out/,
    );
  });

  it.each<[object, RegExp]>([
    [{ maxEvents: 0 }, /maxEvents: found 0/],
    [{ lingerMs: Number.POSITIVE_INFINITY }, /lingerMs: found Infinity/],
    [{ orderBy: () => "a" }, /orderBy: no such option/],
  ])("refuses %o at once", (options, message) => {
    expect(() => acknowledgeBatch(() => undefined, options)).toThrow(message);
  });

  it("knows the type of what its handler gives", () => {
    type Result<O> = O extends (source: never) => Observable<Acknowledged<unknown, infer R>> ? R : never;
    const counting = acknowledgeBatch(async (events: readonly string[]) => events.length);

    expectTypeOf<Result<typeof counting>>().toEqualTypeOf<number>();
  });
});

describe("acknowledgeBatch, in Redis", () => {
  it("settles a batch by one command, within the window", async () => {
    await add(...Array.from({ length: 20 }, (_, index) => index));
    const before = await calls();
    const until = new Subject<void>();
    const sizes: number[] = [];
    const done = await lastValueFrom(
      deliveries({ until, window: 10 }).pipe(
        acknowledgeBatch((orders) => sizes.push(orders.length), { lingerMs: 50 }),
        take(20),
        tap(({ delivery }) => delivery.event.n === 19 && until.next()),
        map(({ delivery }) => delivery.event.n),
        toArray(),
      ),
    );

    expect(done).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(10);
    expect(sizes.length).toBeLessThan(10);
    expect((await calls()) - before).toBeLessThanOrEqual(sizes.length);
    expect(await pending()).toBe(0);
  });

  it("finds the one that fails, which alone becomes a dead letter", async () => {
    await add(1, 2, 3, 4, 5);
    const until = new Subject<void>();
    const { status, first } = watched();
    const batches: string[] = [];
    const done = lastValueFrom(
      deliveries({ ...quick, until, status, deadLetters: { stream: "dead" }, maxDeliveries: 2 }).pipe(
        deduplicate({ key: ({ id }: Order) => id }),
        acknowledgeBatch(
          async (orders) => {
            batches.push(orders.map(({ n }) => n).join(""));
            if (orders.some(({ n }) => n === 3)) throw FULL;
          },
          { lingerMs: 100 },
        ),
        map(({ delivery }) => delivery.event.n),
        toArray(),
      ),
    );
    expect(await first("deadLetter")).toMatchObject({ deliveries: 2, reason: FULL.message });
    until.next();

    expect(await done).toEqual([1, 2, 4, 5]);
    expect(batches).toEqual(["12345", "1", "2", "3", "4", "5", "3"]);
    expect(await redis.client.xlen("dead")).toBe(1);
    expect(await pending()).toBe(0);
    expect(await consumers()).toEqual([]);
  });

  it("hands back what fails while it drains, and takes none that another consumer has", async () => {
    await add(1, 2);
    const until = new Subject<void>();
    const work = new Subject<void>();
    const { status, first } = watched();
    let started = 0;
    const done = lastValueFrom(
      deliveries({ until, status, claimIdleMs: 300 }).pipe(
        acknowledgeBatch(
          () => {
            started += 1;
            return work;
          },
          { lingerMs: 50 },
        ),
      ),
      { defaultValue: "nothing" },
    );
    await waitUntil(async () => started === 1);
    const [[entryId = ""] = []] = await redis.client.xrange("orders.events", "-", "+");
    await redis.client.xclaim("orders.events", "mailer", "rival", 0, entryId);
    await first("lost");
    until.next();
    await first("draining");
    work.error(FULL);

    expect(await done).toBe("nothing");
    // The one that is left was tried alone.
    expect(started).toBe(2);
    expect(await pending()).toBe(2);
  });
});

/** How often Redis was asked to acknowledge. */
async function calls(): Promise<number> {
  const info = await redis.client.info("commandstats");
  return Number(/cmdstat_xack:calls=(\d+)/.exec(info)?.[1] ?? 0);
}
