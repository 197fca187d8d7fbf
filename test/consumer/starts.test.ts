import { lastValueFrom, map, NEVER, Subject, Subscription, take, timer } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import { acknowledge, type Delivery, effects, type GroupOptions } from "../../src/consumer.ts";
import { group, type Order, ordersGroup, stream } from "../kit/load/ordersGroup.ts";
import { watched } from "../kit/load/watched.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

const redis = emptyRedis();
const { add, deliveries, pending, counts, isWaiting } = ordersGroup(redis);
const deadLetters = { stream: "orders.dead" };

/** Runs a consumer as a process would be that dies of an order: it is gone in the middle of its handler. */
async function untilItDies(
  settings: Partial<GroupOptions<Order>>,
  concurrency: number,
  kills: (order: Order) => boolean,
): Promise<"died" | "done"> {
  const running = new Subscription();
  return new Promise((resolve) => {
    const die = () => {
      running.unsubscribe();
      resolve("died");
    };
    const until = new Subject<void>();
    running.add(
      deliveries({ deadLetters, ...settings, until })
        .pipe(
          acknowledge(
            (order) => {
              if (!kills(order)) return timer(5).pipe(map(() => effects(["SADD", "handled", order.n])));
              // Those beside it die with it.
              setTimeout(die, 20);
              return NEVER;
            },
            { concurrency },
          ),
        )
        .subscribe({ complete: () => resolve("done") }),
    );
    void waitUntil(async () => running.closed || (await isDone()), 20).then(() => until.next());
  });
}

async function isDone(): Promise<boolean> {
  const [info] = (await redis.client.xinfo("GROUPS", stream)) as unknown[][];
  if (info === undefined) return false;
  const figure = (name: string) => Number(info[info.indexOf(name) + 1]);
  return figure("lag") === 0 && figure("pending") === 0;
}

const deadNumbers = async () =>
  (await redis.client.xrange("orders.dead", "-", "+")).map(
    ([, fields]) => (JSON.parse(fields[1] ?? "") as Order).n,
  );

describe("what counts against maxDeliveries", () => {
  it.each([1, 10])(
    "an entry that kills its process, and no other one, is a dead letter (concurrency %d)",
    async (concurrency) => {
      await add(...Array.from({ length: 60 }, (_, n) => n));
      let deaths = 0;
      while ((await untilItDies({}, concurrency, ({ n }) => n === 30)) === "died") deaths += 1;

      // Of the first two it is not sure that they were starts.
      expect(deaths).toBe(5 + 2);
      expect(await deadNumbers()).toEqual([30]);
      expect(await redis.client.scard("handled")).toBe(59);
    },
  );

  it.each([
    { maxDeliveries: 1, concurrency: 1 },
    { maxDeliveries: 1, concurrency: 10 },
    { maxDeliveries: 2, concurrency: 1 },
    { maxDeliveries: 2, concurrency: 10 },
  ])("one that fails beside one that kills its process has all its starts (%j)", async (settings) => {
    const { maxDeliveries, concurrency } = settings;
    await add(...Array.from({ length: 20 }, (_, n) => n));
    const starts = new Map<number, number>();
    let deaths = 0;
    let isDead = true;
    while (isDead) {
      isDead = false;
      const running = new Subscription();
      running.add(
        deliveries({ deadLetters, maxDeliveries, redelivery: { initialMs: 1 } })
          .pipe(
            acknowledge(
              ({ n }) => {
                starts.set(n, (starts.get(n) ?? 0) + 1);
                if (n !== 5) throw new Error("not today");
                // Those that are started with it are not any more.
                running.unsubscribe();
                return NEVER;
              },
              { concurrency },
            ),
          )
          .subscribe(),
      );
      await waitUntil(async () => running.closed || (await isDone()), 20);
      isDead = running.closed;
      running.unsubscribe();
      if (isDead) deaths += 1;
    }

    expect(Math.min(...starts.values())).toBe(maxDeliveries);
    expect(Math.max(...starts.values())).toBe(maxDeliveries + 2);
    expect(deaths).toBe(maxDeliveries + 2);
    expect(await deadNumbers()).toHaveLength(20);
  });

  it("two entries that kill their process are dead letters, and nothing else is", async () => {
    await add(...Array.from({ length: 40 }, (_, n) => n));
    while ((await untilItDies({}, 5, ({ n }) => n === 12 || n === 14)) === "died") {}

    expect((await deadNumbers()).sort()).toEqual([12, 14]);
    expect(await redis.client.scard("handled")).toBe(38);
  });

  it("an entry that was handed out and never started does not, however often its consumer starts anew", async () => {
    await add(1, 2, 3);
    for (let run = 0; run < 8; run += 1)
      await lastValueFrom(deliveries({ deadLetters, maxDeliveries: 3 }).pipe(take(3)));

    expect(await counts()).toEqual([
      ["one", 1],
      ["one", 1],
      ["one", 1],
    ]);
    expect(await redis.client.xlen("orders.dead")).toBe(0);
  });

  it("a connection that is made again does not, for what is held meanwhile", async () => {
    await add(1, 2, 3);
    const running = deliveries({ deadLetters, retry: { initialMs: 1 } })
      .pipe(acknowledge(() => NEVER))
      .subscribe();
    onTestFinished(() => running.unsubscribe());
    await waitUntil(async () => (await pending()) === 3);
    for (let cut = 1; cut <= 6; cut += 1) {
      await waitUntil(isWaiting, 5);
      await redis.client.call("CLIENT", ["KILL", "TYPE", "normal", "SKIPME", "yes"]);
    }
    await waitUntil(isWaiting, 5);

    expect((await counts()).map(([, times]) => times)).toEqual([1, 1, 1]);
  });

  it("being taken over does not", async () => {
    await add(1, 2);
    await lastValueFrom(deliveries({ consumer: "gone", claimIdleMs: 20 }).pipe(take(2)));
    const seen: Delivery<Order>[] = [];
    const running = deliveries({ consumer: "two", claimIdleMs: 20 }).subscribe((delivery) =>
      seen.push(delivery),
    );
    onTestFinished(() => running.unsubscribe());
    await waitUntil(() => seen.length === 2, 5);

    expect(await counts()).toEqual([
      ["two", 1],
      ["two", 1],
    ]);
  });

  it("an entry that fails over several runs does, each time that its handler was started", async () => {
    await add(1);
    for (let run = 1; run <= 2; run += 1) {
      const { status, first } = watched();
      const running = deliveries({ deadLetters, status })
        .pipe(
          acknowledge(() => {
            throw new Error("not today");
          }),
        )
        .subscribe();
      await first("rejected");
      running.unsubscribe();
    }

    expect(await counts()).toEqual([["one", 2]]);
  });

  it("one that may have killed its consumers does not hold up the others for ever if it hangs", async () => {
    await redis.client.xgroup("CREATE", stream, group, "0", "MKSTREAM");
    await add(1, 2);
    await redis.client.xreadgroup("GROUP", group, "one", "COUNT", 1, "STREAMS", stream, ">");
    const [[id = ""] = []] = await redis.client.xrange(stream, "-", "+", "COUNT", 1);
    await redis.client.xclaim(stream, group, "one", 0, id, "RETRYCOUNT", 4, "JUSTID");
    const started: number[] = [];
    const running = deliveries({ claimIdleMs: 300 })
      .pipe(
        acknowledge(
          ({ n }) => {
            started.push(n);
            return n === 1 ? NEVER : undefined;
          },
          { concurrency: 2 },
        ),
      )
      .subscribe();

    await waitUntil(async () => (await pending()) === 1 && started.length === 2, 5);
    expect(started).toEqual([1, 2]);
    running.unsubscribe();
  });
});
