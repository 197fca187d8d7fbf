import { lastValueFrom, map, Subject, tap, toArray } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  acknowledge,
  type Delivery,
  deadLetter,
  deduplicate,
  giveBack,
  retryIn,
} from "../../src/consumer.ts";
import { groupKeys } from "../../src/redis/group/groupKeys.ts";
import { fakeGroup } from "../../src/testing/fakeGroup.ts";
import { group, ordersGroup, stream } from "../kit/load/ordersGroup.ts";
import { watched } from "../kit/load/watched.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { marbles } from "../kit/time/marbles.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

const redis = emptyRedis();
const { add, deliveries, pending } = ordersGroup(redis);
const events = map(({ delivery }: { readonly delivery: Delivery<string> }) => delivery.event);

const { consumers: consumersKey } = groupKeys(stream, group);

/** As Redis tells it: who has it, and how often it was delivered. */
async function details() {
  const found = (await redis.client.xpending(stream, group, "-", "+", 10)) as unknown[][];
  return found.map(([entryId, consumer, , times]) => ({ entryId, consumer, times }));
}

describe("a handler's decision", () => {
  it(
    "to try again waits for its time, also with those of its key, and counts as a failure",
    marbles(({ hot, expectObservable, flush }) => {
      const group = fakeGroup<string>({ maxDeliveries: 3 });
      const [a, b, c] = [group.delivery("a"), group.delivery("b"), group.delivery("c")];
      const source = hot("-abc------------|", { a, b, c });
      const expected = "  ---c---(ab)-----|";
      let left = 1;

      const result = source.pipe(
        acknowledge((event) => (event === "a" && left-- > 0 ? retryIn(6) : undefined), {
          concurrency: 3,
          orderBy: (event) => (event === "c" ? "c" : "ab"),
        }),
        events,
      );

      expectObservable(result).toBe(expected);
      flush();
    }),
  );

  it(
    "to give back takes those of its key along that wait, and holds up none that come later",
    marbles(({ hot, cold, expectObservable, flush }) => {
      const group = fakeGroup<string>();
      const [a, b, c] = [group.delivery("a"), group.delivery("b"), group.delivery("c")];
      const source = hot("-ab----c-d-|", { a, b, c, d: group.delivery("d") });
      const later = cold("---x|", { x: giveBack() });
      const expected = "  -------c-d-|";

      const result = source.pipe(
        acknowledge((event) => (event === "a" ? later : undefined), { orderBy: () => "one" }),
        events,
      );

      expectObservable(result).toBe(expected);
      flush();
      expect(group.givenBack).toEqual(["1-0", "2-0"]);
    }),
  );

  it("to set aside happens at once, and lets those of its key go on", async () => {
    const group = fakeGroup<string>();
    const why = new Error("it has no customer");
    const source = new Subject<Delivery<string>>();
    const handled = lastValueFrom(
      source.pipe(
        acknowledge((event) => (event === "a" ? deadLetter(why) : event), { orderBy: () => "one" }),
        map(({ result }) => result),
        toArray(),
      ),
    );

    for (const event of ["a", "b"]) source.next(group.delivery(event));
    source.complete();

    expect(await handled).toEqual(["b"]);
    expect(group.deadLetters).toEqual([{ entryId: "1-0", reason: why }]);
  });

  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY, 2 ** 31, "5" as never])(
    "to try again is refused with %s ms",
    (ms) => {
      expect(() => retryIn(ms)).toThrow(
        /^retryIn: found .*, expected a number of milliseconds from 0 to 2147483647$/,
      );
    },
  );
});

describe("a decision, in Redis", () => {
  it("to give back is for another consumer at once, and counts as no start", async () => {
    await add(1);
    const until = new Subject<void>();
    let starts = 0;
    const giving = lastValueFrom(
      deliveries({ consumer: "gives", until }).pipe(
        acknowledge(() => {
          starts += 1;
          return giveBack();
        }),
      ),
      { defaultValue: "nothing" },
    );
    await waitUntil(async () => starts > 0 && Number((await details())[0]?.times) === 1);
    until.next();
    expect(await giving).toBe("nothing");
    expect(await details()).toMatchObject([{ consumer: "gives", times: 1 }]);

    const done = new Subject<void>();
    const taken = await lastValueFrom(
      deliveries({ consumer: "takes", claimIdleMs: 100, until: done }).pipe(
        deduplicate({ key: ({ id }) => id }),
        acknowledge(() => undefined),
        tap(() => done.next()),
        map(({ delivery }) => delivery.deliveries),
      ),
    );
    // The reading that it counts, and this one.
    expect(taken).toBe(2);
    expect(starts).toBe(1);
    expect(await pending()).toBe(0);
  });

  it("to give back waits for none that is still at work on an entry that was deleted", async () => {
    const [first = ""] = await add(1, 2);
    const finish = new Subject<void>();
    const handled: string[] = [];
    const running = deliveries({ claimIdleMs: 300 })
      .pipe(
        acknowledge(
          async ({ id }) => {
            handled.push(id);
            if (id === "o1") {
              await redis.client.xdel(stream, first);
              await lastValueFrom(finish, { defaultValue: undefined });
            } else if (handled.length === 2) {
              // It says several times that it is alive.
              await waitUntil(async () => / \d/.test(String(await redis.client.hget(consumersKey, "one"))));
              return giveBack();
            }
            return undefined;
          },
          { concurrency: 2 },
        ),
      )
      .subscribe();
    onTestFinished(() => running.unsubscribe());

    await waitUntil(() => handled.length === 3);

    expect(handled).toEqual(["o1", "o2", "o2"]);
    finish.complete();
    await waitUntil(async () => (await pending()) === 0);
  });

  it("to give back, however often, makes no dead letter", async () => {
    await add(1);
    const until = new Subject<void>();
    let starts = 0;
    await lastValueFrom(
      deliveries({ claimIdleMs: 20, deadLetters: { stream: "dead" }, maxDeliveries: 1, until }).pipe(
        acknowledge(() => {
          starts += 1;
          return starts > 8 ? undefined : giveBack();
        }),
        tap(() => until.next()),
      ),
    );

    expect(starts).toBe(9);
    expect(await redis.client.xlen("dead")).toBe(0);
  });

  it("to set aside has its reason, after one start", async () => {
    await add(1, 2);
    const until = new Subject<void>();
    const { status, first } = watched();
    const done = lastValueFrom(
      deliveries({ deadLetters: { stream: "dead" }, until, status }).pipe(
        deduplicate({ key: ({ id }) => id }),
        acknowledge(({ id }) => (id === "o1" ? deadLetter("no customer") : undefined)),
        map(({ delivery }) => delivery.event.id),
        toArray(),
      ),
    );
    expect(await first("deadLetter")).toMatchObject({ deliveries: 1, reason: "no customer" });
    until.next();

    expect(await done).toEqual(["o2"]);
    const [[, fields = []] = []] = await redis.client.xrange("dead", "-", "+");
    expect(fields.join(" ")).toContain("error HandlerFailed reason no customer");
    expect(await pending()).toBe(0);
  });

  it("to set aside fails where there is no stream for it", async () => {
    await add(1);
    const until = new Subject<void>();
    const { status, first } = watched();
    const done = lastValueFrom(
      deliveries({ until, status, redelivery: { initialMs: 1 } }).pipe(
        acknowledge(() => deadLetter("no customer")),
      ),
      { defaultValue: "nothing" },
    );

    expect(await first("rejected")).toMatchObject({
      reason: new TypeError(
        "deadLetter: found no deadLetters, expected groupDeliveries to have a stream for them",
      ),
    });
    until.next();
    expect(await done).toBe("nothing");
    expect(await pending()).toBe(1);
  });

  it("to try again says when, and is a dead letter in the end", async () => {
    await add(1);
    const until = new Subject<void>();
    const { status, first } = watched();
    const done = lastValueFrom(
      deliveries({ deadLetters: { stream: "dead" }, maxDeliveries: 2, until, status }).pipe(
        acknowledge(async () => retryIn(7)),
      ),
      { defaultValue: "nothing" },
    );
    const reason = "its handler asked for it again in 7 ms";

    expect(await first("rejected")).toMatchObject({ delayMs: 7, deliveries: 1, reason });
    expect(await first("deadLetter")).toMatchObject({ deliveries: 2, reason });
    until.next();
    expect(await done).toBe("nothing");
  });
});
