import { lastValueFrom, map, Subject, tap, toArray } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  type AcknowledgeOptions,
  acknowledge,
  acknowledgeBatch,
  type ConsumerStatus,
  deduplicate,
  effects,
  type GroupOptions,
  streamEntries,
} from "../../src/consumer.ts";
import { type Order, ordersGroup, stream } from "../kit/load/ordersGroup.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

const redis = emptyRedis();
const { add, deliveries } = ordersGroup(redis);

const left = async () => (await redis.client.xrange(stream, "-", "+")).map(([entryId]) => entryId);

/** Handles so many, and takes them out of the stream. */
async function consumed(
  count: number,
  handler: (order: Order) => unknown = () => undefined,
  settings: Partial<GroupOptions<Order>> = {},
  options: AcknowledgeOptions<Order> = { remove: true },
) {
  const until = new Subject<void>();
  let settled = 0;
  const one = () => {
    settled += 1;
    if (settled === count) until.next();
  };
  return lastValueFrom(
    deliveries({
      until,
      status: { next: ({ state }) => state === "deadLetter" && one() },
      ...settings,
    }).pipe(
      acknowledge(handler, options),
      tap(one),
      map(({ delivery }) => delivery.event.n),
      toArray(),
    ),
  );
}

describe("what is acknowledged", () => {
  it("leaves the stream with its only group's acknowledgement", async () => {
    await add(1, 2, 3);
    await redis.client.xgroup("CREATE", stream, "mailer", "0");

    expect(await consumed(3)).toEqual([1, 2, 3]);
    expect(await left()).toEqual([]);
  });

  it("stays without the option", async () => {
    await add(1);

    await consumed(1, () => undefined, {}, {});

    expect(await left()).toHaveLength(1);
  });

  it("stays until another group has read and acknowledged it, and leaves with that one", async () => {
    const [first = "", second = "", third = ""] = await add(1, 2, 3);
    await redis.client.xgroup("CREATE", stream, "archive", "0");
    await redis.client.xreadgroup("GROUP", "archive", "a", "COUNT", 2, "STREAMS", stream, ">");
    await redis.client.xack(stream, "archive", first);

    await consumed(3);
    // One is pending there, and one not read.
    expect(await left()).toEqual([second, third]);

    await consumed(2, () => undefined, { group: "archive", consumer: "a", claimIdleMs: 100 });
    expect(await left()).toEqual([]);
  });

  it("stays where its own group is to read it again", async () => {
    const [first = ""] = await add(1, 2);

    await consumed(2, async ({ n }) => {
      if (n === 2) await redis.client.xgroup("SETID", stream, "mailer", first);
    });

    expect(await left()).toHaveLength(1);
  });

  it("leaves with its effects, its dead letter, as a duplicate, and by many", async () => {
    await add(1, 2);
    await consumed(
      2,
      ({ n }) => {
        if (n === 2) throw new Error("no");
        return effects(["INCR", "total"]);
      },
      { deadLetters: { stream: "dead" }, maxDeliveries: 1 },
    );
    expect([await left(), await redis.client.get("total"), await redis.client.xlen("dead")]).toEqual([
      [],
      "1",
      1,
    ]);

    await add(3, 3, 4);
    const until = new Subject<void>();
    await lastValueFrom(
      deliveries({ until }).pipe(
        deduplicate({ key: ({ id }) => id, remove: true }),
        acknowledgeBatch(() => undefined, { remove: true }),
        tap(({ delivery }) => delivery.event.n === 4 && setTimeout(() => until.next(), 50)),
      ),
    );
    expect(await left()).toEqual([]);
  });

  it("is no gap to those that read on", async () => {
    const told: ConsumerStatus[] = [];
    let handled = 0;
    const running = deliveries({ status: { next: (status) => told.push(status) }, window: 4 })
      .pipe(acknowledge(() => undefined, { remove: true }))
      .subscribe(() => {
        handled += 1;
      });
    onTestFinished(() => running.unsubscribe());
    for (let round = 1; round <= 5; round += 1) {
      await add(...Array.from({ length: 10 }, (_, n) => n));
      await waitUntil(() => handled === 10 * round);
      // As for a consumer that has been away.
      await new Promise((next) => setTimeout(next, 30));
    }

    expect(told.filter(({ state }) => state === "gap")).toEqual([]);
    expect(await left()).toEqual([]);
  });

  it.each(["$", "0-0"])("is no gap to who reads without a group from %s", async (from) => {
    await add(0);
    await consumed(1);
    const told: ConsumerStatus[] = [];
    const read: number[] = [];
    // What is taken out before it was read is a gap.
    const running = deliveries()
      .pipe(acknowledge(({ n }) => waitUntil(() => read.includes(n), 2), { remove: true, concurrency: 10 }))
      .subscribe();
    onTestFinished(() => running.unsubscribe());
    const reading = streamEntries<Order>({
      uri: redis.uri,
      stream,
      from,
      status: { next: (now) => told.push(now) },
    }).subscribe(({ event }) => read.push(event.n));
    onTestFinished(() => reading.unsubscribe());
    await waitUntil(() => told.some(({ state }) => state === "opened"));
    for (let n = 1; n <= 100; n += 1) {
      await add(n);
      if (n % 7 === 0) await new Promise((next) => setTimeout(next, 5));
    }
    await waitUntil(() => read.at(-1) === 100);

    expect(told.filter(({ state }) => state === "gap")).toEqual([]);
  });

  it.each([{ remove: true }, { remove: false }])("is gone where its stream is, with %o", async (options) => {
    await add(1);
    const states: string[] = [];
    const numbers = await consumed(
      1,
      async ({ n }) => {
        if (n > 1) return;
        await redis.client.rename(stream, "elsewhere");
        setTimeout(() => add(2), 100);
      },
      { window: 1, status: { next: ({ state }) => states.push(state) } },
      options,
    );

    expect(numbers.at(-1)).toBe(2);
    expect(states).toContain("warning");
  });

  it("is still a gap where it was trimmed unread", async () => {
    const told: ConsumerStatus[] = [];
    await add(1, 2);
    await consumed(2);
    await add(3, 4, 5);
    await redis.client.xtrim(stream, "MAXLEN", 1);
    expect(await consumed(1, () => undefined, { status: { next: (status) => told.push(status) } })).toEqual([
      5,
    ]);

    expect(told.filter(({ state }) => state === "gap")).toMatchObject([{ missed: 2 }]);
  });

  it("changes nothing at all where its user may not delete", async () => {
    await redis.client.call("ACL", ["SETUSER", "careful", "on", ">pw", "~*", "+@all", "-xdel"]);
    await add(1);
    const uri = redis.uri.replace("redis://", "redis://careful:pw@");

    await expect(consumed(1, () => effects(["INCR", "total"]), { uri })).rejects.toThrow(
      /docs\/connections\.md/,
    );

    expect(await redis.client.get("total")).toBeNull();
    expect(Number((await redis.client.xpending(stream, "mailer"))[0])).toBe(1);
  });
});
