import { firstValueFrom, lastValueFrom, map, NEVER, Subject, take, tap } from "rxjs";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { acknowledge, deduplicate } from "../../src/consumer.ts";
import { group, type Order, ordersGroup, stream } from "../kit/load/ordersGroup.ts";
import { watched } from "../kit/load/watched.ts";
import { startProxy } from "../kit/network/tcpProxy.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

const redis = emptyRedis();
const { add, deliveries, pending, consumers, isWaiting } = ordersGroup(redis);

/** How often Redis was asked for something, refused or not. */
async function calls(command: string): Promise<number> {
  const found = new RegExp(`cmdstat_${command}:calls=(\\d+),.*?(?:rejected_calls=(\\d+))?,failed`).exec(
    await redis.client.info("commandstats"),
  );
  return Number(found?.[1] ?? 0) + Number(found?.[2] ?? 0);
}

describe("a consumer that is told to stop", () => {
  it("ends at once while Redis is away, if it holds nothing", async () => {
    const proxy = await startProxy(redis.port);
    onTestFinished(() => proxy.stop());
    const { status, first } = watched();
    const until = new Subject<void>();
    const done = lastValueFrom(deliveries({ uri: proxy.uri, status, until }), { defaultValue: undefined });
    await first("opened");
    await proxy.refuse();
    await first("retrying");
    until.next();

    await done;
    expect(await first("draining")).toMatchObject({ deliveries: 0 });
  });

  it("ends when its handler does, although another consumer has taken over what that works on", async () => {
    await add(1);
    const { status, first } = watched();
    const until = new Subject<void>();
    const handling = new Subject<void>();
    const started = new Subject<void>();
    const hasStarted = firstValueFrom(started);
    const handler = () => {
      started.next();
      return handling;
    };
    const ended = lastValueFrom(deliveries({ status, until, claimIdleMs: 300 }).pipe(acknowledge(handler)), {
      defaultValue: "nothing acknowledged",
    });
    await hasStarted;
    const [[entryId = ""] = []] = (await redis.client.xpending(stream, group, "-", "+", 1)) as string[][];
    await redis.client.xclaim(stream, group, "rival", 0, entryId);
    await first("lost");
    until.next();
    await first("draining");

    handling.complete();

    expect(await ended).toBe("nothing acknowledged");
  });

  it("ends when its handler does, although what waits behind it with its key was lost as well", async () => {
    await add(1, 1, 1);
    const { status, first } = watched();
    const until = new Subject<void>();
    const finish = new Subject<void>();
    const drained = vi.fn();
    const handler = vi.fn(() => finish.pipe(take(1)));
    const ended = lastValueFrom(
      deliveries({ claimIdleMs: 90, status, until }).pipe(
        tap({ complete: drained }),
        deduplicate({ key: ({ id }) => id }),
        acknowledge(handler),
      ),
      { defaultValue: "nothing acknowledged" },
    );
    await waitUntil(() => handler.mock.calls.length === 1, 5);
    const ids = (await redis.client.xrange(stream, "-", "+")).map(([id]) => id);
    await redis.client.xack(stream, group, ...ids);
    await first("gone");
    until.next();
    await waitUntil(() => drained.mock.calls.length === 1, 5);
    finish.next();

    expect(await ended).toBe("nothing acknowledged");
    expect(handler).toHaveBeenCalledOnce();
  });

  it("hands back what has failed for good, if Redis refuses its dead letter", async () => {
    await add(1);
    await redis.client.set("orders.dead", "no stream");
    const { status, first } = watched();
    const until = new Subject<void>();
    const handling = new Subject<void>();
    const handler = vi.fn(() => handling);
    const ended = lastValueFrom(
      deliveries({ status, until, maxDeliveries: 1, deadLetters: { stream: "orders.dead" } }).pipe(
        acknowledge(handler),
      ),
      { defaultValue: "nothing acknowledged" },
    );
    await waitUntil(() => handler.mock.calls.length === 1, 5);
    until.next();
    await first("draining");
    handling.error(new Error("the mail box is full"));

    expect(await ended).toBe("nothing acknowledged");
    expect(await pending()).toBe(1);
  });

  it("ends at once while it has not reached Redis yet", async () => {
    const proxy = await startProxy(redis.port);
    onTestFinished(() => proxy.stop());
    await proxy.refuse();
    const { status, first } = watched();
    const until = new Subject<void>();
    const done = lastValueFrom(deliveries({ uri: proxy.uri, status, until }), { defaultValue: undefined });
    await first("retrying");
    until.next();

    await done;
  });

  it("waits for Redis while it holds something, and settles that", async () => {
    const proxy = await startProxy(redis.port);
    onTestFinished(() => proxy.stop());
    await add(1);
    const { status, first } = watched();
    const until = new Subject<void>();
    const finish = new Subject<void>();
    const handler = vi.fn(() => finish.pipe(take(1)));
    const done = lastValueFrom(
      deliveries({ uri: proxy.uri, status, until, retry: { initialMs: 10, maxMs: 50 } }).pipe(
        acknowledge(handler),
      ),
    );
    await waitUntil(() => handler.mock.calls.length === 1, 5);
    await proxy.refuse();
    until.next();
    finish.next();
    await first("draining");
    await proxy.restore();
    await done;

    expect(await pending()).toBe(0);
  });

  it("leaves the group, which does not keep its name", async () => {
    await add(1);
    const until = new Subject<void>();
    await lastValueFrom(
      deliveries({ until }).pipe(
        acknowledge(() => undefined),
        map(() => until.next()),
      ),
    );

    expect(await consumers()).toEqual([]);
    expect(await redis.client.keys(`{${stream}}:rxadd:*`)).toEqual([]);
  });

  it("stays in the group while anything is pending for it", async () => {
    await add(1);
    const until = new Subject<void>();
    await lastValueFrom(
      deliveries({ until }).pipe(
        acknowledge(() => {
          until.next();
          throw new Error("not today");
        }),
      ),
      { defaultValue: undefined },
    );

    expect(await consumers()).toEqual(["one"]);
    expect(await pending()).toBe(1);
  });

  it("interrupts the read that waits, and nothing once that has ended, however long handlers take", async () => {
    await add(1);
    const until = new Subject<void>();
    const finish = new Subject<void>();
    const { status, first } = watched();
    await redis.client.config("RESETSTAT");
    const done = lastValueFrom(
      deliveries({ until, status, blockMs: 60_000 }).pipe(acknowledge(() => finish.pipe(take(1)))),
    );
    await waitUntil(async () => (await pending()) === 1 && (await isWaiting()), 5);
    until.next();
    await first("draining");
    const before = await calls("client\\|unblock");
    const looks = vi.fn();
    const enough = performance.now() + 300;
    await waitUntil(() => {
      looks();
      return performance.now() > enough;
    });
    const after = await calls("client\\|unblock");
    finish.next();
    await done;

    expect(before).toBeGreaterThan(0);
    expect(after).toBe(before);
  });

  it("interrupts nobody whose name it does not know: a connection made again may be somebody else's", async () => {
    const until = new Subject<void>();
    const { status, first } = watched();
    await redis.client.call("ACL", ["SETUSER", "c", "on", ">p", "~*", "+@all"]);
    onTestFinished(async () => {
      await redis.client.call("ACL", ["DELUSER", "c"]);
    });
    const reads = async () =>
      String(await redis.client.client("LIST")).match(/^.*flags=b.*user=c.*$/gm)?.length ?? 0;
    const done = lastValueFrom(
      deliveries({ uri: redis.uri.replace("://", "://c:p@"), until, status, blockMs: 300 }),
      { defaultValue: undefined },
    );
    await first("opened");
    await waitUntil(async () => (await reads()) === 1, 5);
    await redis.client.call("ACL", ["SETUSER", "c", "-client|id"]);
    await redis.client.call("CLIENT", ["KILL", "USER", "c"]);
    await first("retrying");
    await waitUntil(async () => (await reads()) === 1, 5);
    await redis.client.config("RESETSTAT");
    until.next();
    await done;

    expect(await calls("client\\|unblock")).toBe(0);
  });
});

describe("the name of a consumer", () => {
  it("is its own by default, for each of several in one process, so that none takes what another one has", async () => {
    await add(...Array.from({ length: 20 }, (_, n) => n));
    const started: number[] = [];
    const handler = ({ n }: Order) => {
      started.push(n);
      return NEVER;
    };
    const consume = () =>
      deliveries({ consumer: undefined, count: 10, window: 10 })
        .pipe(acknowledge(handler, { concurrency: 20 }))
        .subscribe();
    const running = [consume()];
    await waitUntil(async () => (await pending()) === 10, 5);
    running.push(consume());
    await waitUntil(() => started.length >= 20, 5);

    expect([...started].sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n));
    expect(new Set(await consumers()).size).toBe(2);
    for (const one of running) one.unsubscribe();
  });

  it("is the same one again for a process that subscribes again: it first gets what it had", async () => {
    await add(1);
    const once = () => lastValueFrom(deliveries({ consumer: undefined }).pipe(take(1)));
    await once();

    expect((await once()).deliveries).toBe(2);
    expect(await consumers()).toHaveLength(1);
  });

  it("may be of one that is patient: a consumer that is less so takes nothing from it while it lives", async () => {
    await add(1, 2, 3);
    const patient = deliveries({ claimIdleMs: 60_000, window: 3 }).subscribe();
    onTestFinished(() => patient.unsubscribe());
    await waitUntil(async () => (await pending()) === 3, 5);
    await redis.client.config("RESETSTAT");
    const taken: number[] = [];
    const hasty = deliveries({ consumer: "two", claimIdleMs: 20, blockMs: 10 }).subscribe(({ event }) =>
      taken.push(event.n),
    );
    onTestFinished(() => hasty.unsubscribe());
    // It has looked several times for what is abandoned.
    await waitUntil(async () => (await calls("xpending")) > 5, 5);
    await add(4);
    await waitUntil(() => taken.length > 0, 5);

    expect(taken).toEqual([4]);
  });
});
