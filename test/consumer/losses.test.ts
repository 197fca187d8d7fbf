import { firstValueFrom, lastValueFrom, map, of, Subject, take } from "rxjs";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { acknowledge, effects } from "../../src/consumer.ts";
import { group, type Order, ordersGroup, stream } from "../kit/load/ordersGroup.ts";
import { watched } from "../kit/load/watched.ts";
import { startProxy } from "../kit/network/tcpProxy.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

const redis = emptyRedis();
const { add, deliveries, pending } = ordersGroup(redis);
const total = () => redis.client.get("total");
const addOne = effects(["INCR", "total"]);

/** One delivery whose handler has begun, and ends when it is told to. */
function handling(settings: Parameters<typeof deliveries>[0] = {}) {
  const { status, first } = watched();
  const finish = new Subject<void>();
  const acknowledged = vi.fn();
  const handler = vi.fn(() =>
    finish.pipe(
      take(1),
      map(() => addOne),
    ),
  );
  const running = deliveries({ status, ...settings })
    .pipe(acknowledge(handler))
    .subscribe(acknowledged);
  onTestFinished(() => running.unsubscribe());
  return { status, first, finish, acknowledged, handler, running };
}

describe("an entry that is deleted or trimmed while it is handled", () => {
  it("has its effects once, if its handler failed before that", async () => {
    const [id = ""] = await add(1);
    let times = 0;
    const done = firstValueFrom(
      deliveries({ redelivery: { initialMs: 20 } }).pipe(
        acknowledge(async () => {
          times += 1;
          if (times === 1) {
            await redis.client.xdel(stream, id);
            throw new Error("not yet");
          }
          return addOne;
        }),
      ),
    );

    expect((await done).delivery.deliveries).toBe(2);
    expect(await total()).toBe("1");
    expect(await pending()).toBe(0);
  });

  it("has its effects once, however long its handler takes", async () => {
    await add(1);
    const { finish, acknowledged, handler } = handling({ claimIdleMs: 300 });
    await waitUntil(() => handler.mock.calls.length === 1, 5);
    const rival = deliveries({ consumer: "two", claimIdleMs: 300, blockMs: 50 }).subscribe();
    onTestFinished(() => rival.unsubscribe());
    await redis.client.xtrim(stream, "MAXLEN", 0);
    // It has said several times that it is alive, and the other one has looked for what is abandoned.
    const until = performance.now() + 1000;
    await waitUntil(() => performance.now() > until);
    expect(await pending()).toBe(1);
    finish.next();

    await waitUntil(() => acknowledged.mock.calls.length === 1, 5);
    expect(await total()).toBe("1");
    expect(await pending()).toBe(0);
  });

  it("is a dead letter if it fails for good", async () => {
    await add(1);
    const { status, first } = watched();
    const running = deliveries({
      ...{ status, deadLetters: { stream: "orders.dead" }, maxDeliveries: 3, redelivery: { initialMs: 1 } },
    })
      .pipe(
        acknowledge(async () => {
          await redis.client.xtrim(stream, "MAXLEN", 0);
          throw new Error("boom");
        }),
      )
      .subscribe();

    expect(await first("deadLetter")).toMatchObject({ deliveries: 3, reason: "boom" });
    expect(await redis.client.xlen("orders.dead")).toBe(1);
    expect(await pending()).toBe(0);
    running.unsubscribe();
  });

  it("is told as deleted once its consumer is gone", async () => {
    const [id] = await add(1);
    const { handler, running } = handling({ claimIdleMs: 40 });
    await waitUntil(() => handler.mock.calls.length === 1, 5);
    running.unsubscribe();
    await redis.client.xtrim(stream, "MAXLEN", 0);
    const { status, first } = watched();
    const next = deliveries({ consumer: "two", claimIdleMs: 40, blockMs: 10, status }).subscribe();

    expect(await first("deleted")).toMatchObject({ entryIds: [id] });
    await waitUntil(async () => (await pending()) === 0, 5);
    next.unsubscribe();
  });
});

describe("a delivery that is not pending any more", () => {
  it("is handled again, and has its effects once, when its group was destroyed and made anew", async () => {
    await add(1);
    const { first, finish, acknowledged, handler } = handling();
    await waitUntil(() => handler.mock.calls.length === 1, 5);
    await redis.client.xgroup("DESTROY", stream, group);
    await first("warning");
    await waitUntil(() => {
      finish.next();
      return acknowledged.mock.calls.length > 0;
    }, 20);
    await waitUntil(async () => (await pending()) === 0, 5);

    expect(acknowledged).toHaveBeenCalledTimes(1);
    expect(await total()).toBe("1");
  });

  it("is gone when somebody else has acknowledged it", async () => {
    const [id = ""] = await add(1);
    const { first, finish, acknowledged, handler } = handling();
    await waitUntil(() => handler.mock.calls.length === 1, 5);
    await redis.client.xack(stream, group, id);
    finish.next();

    expect(await first("gone")).toMatchObject({ stream, entryId: id });
    expect(acknowledged).not.toHaveBeenCalled();
    expect(await total()).toBeNull();
  });
});

describe("an acknowledgement that a failover loses", () => {
  it("is made again, with its effects, by the consumer that still lives, whatever it is doing meanwhile", async () => {
    const [first = ""] = await add(1, 2);
    const handled: number[] = [];
    const finish = new Subject<void>();
    const running = deliveries({ window: 1, claimIdleMs: 300 })
      .pipe(
        acknowledge(async ({ n }: Order) => {
          handled.push(n);
          if (n === 2) await firstValueFrom(finish);
          return addOne;
        }),
      )
      .subscribe();
    onTestFinished(() => running.unsubscribe());
    await waitUntil(() => handled.length === 2, 5);

    // As on a replica that lacks the last writes; nothing is being read that could fail.
    await redis.client.multi().xclaim(stream, group, "one", 0, first, "FORCE", "JUSTID").del("total").exec();
    finish.next();

    await waitUntil(async () => handled.length === 3 && (await pending()) === 0, 5);
    expect(handled).toEqual([1, 2, 1]);
    expect(await total()).toBe("2");
  });
});

describe("an acknowledgement whose answer is lost", () => {
  it("is known when it is sent again, with its effects, and not told as gone", async () => {
    await add(1);
    const proxy = await startProxy(redis.port);
    const { status, first } = watched();
    const states: string[] = [];
    status.subscribe(({ state }) => states.push(state));
    const done = lastValueFrom(
      deliveries({ uri: proxy.uri, status, retry: { initialMs: 10 }, sendTimeoutMs: 300 }).pipe(
        acknowledge(() => {
          proxy.dropReplies();
          return of(addOne);
        }),
        take(1),
      ),
    );
    await waitUntil(async () => (await total()) === "1", 5);
    await first("retrying");
    await proxy.restore();

    expect((await done).delivery.event.n).toBe(1);
    expect(await total()).toBe("1");
    expect(states).not.toContain("gone");
    await proxy.stop();
  });

  it("is not a second dead letter", async () => {
    await add(1);
    const proxy = await startProxy(redis.port);
    const { status, first } = watched();
    const running = deliveries({
      ...{ uri: proxy.uri, status, retry: { initialMs: 10 }, sendTimeoutMs: 300 },
      ...{ deadLetters: { stream: "orders.dead" }, maxDeliveries: 1 },
    })
      .pipe(
        acknowledge(() => {
          proxy.dropReplies();
          throw new Error("boom");
        }),
      )
      .subscribe();
    await waitUntil(async () => (await redis.client.xlen("orders.dead")) === 1, 5);
    await first("retrying");
    await proxy.restore();

    expect(await first("deadLetter")).toMatchObject({ reason: "boom" });
    expect(await redis.client.xlen("orders.dead")).toBe(1);
    running.unsubscribe();
    await proxy.stop();
  });
});
