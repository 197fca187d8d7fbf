import * as t from "io-ts";
import { filter, firstValueFrom, lastValueFrom, map, of, Subject, take, tap, toArray } from "rxjs";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { acknowledge, deduplicate, effects, type GroupOptions, groupDeliveries } from "../../src/consumer.ts";
import { watched } from "../kit/load/watched.ts";
import { startProxy } from "../kit/network/tcpProxy.ts";
import { failureOf } from "../kit/program/failureOf.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

interface Order {
  readonly id: string;
  readonly n: number;
}

const stream = "orders.events";
const group = "mailer";

const redis = emptyRedis();

async function add(...numbers: readonly number[]): Promise<string[]> {
  const ids: string[] = [];
  for (const n of numbers) {
    ids.push((await redis.client.xadd(stream, "*", "event", JSON.stringify({ id: `o${n}`, n }))) ?? "");
  }
  return ids;
}

function deliveries(settings: Partial<GroupOptions<Order>> = {}) {
  return groupDeliveries<Order>({
    uri: redis.uri,
    stream,
    group,
    consumer: "one",
    blockMs: 200,
    ...settings,
  });
}

async function pending(): Promise<number> {
  const stands = await redis.client.exists(stream);
  const [count] = stands === 1 ? await redis.client.xpending(stream, group).catch(() => [0]) : [0];
  return Number(count);
}

const numbersOf = map(({ delivery }: { readonly delivery: { readonly event: Order } }) => delivery.event.n);

describe("groupDeliveries", () => {
  it("makes the group and the stream, and delivers what comes, first what is there already", async () => {
    await add(1, 2);
    const { status, first } = watched();

    const result = lastValueFrom(
      deliveries({ status }).pipe(
        acknowledge(() => undefined),
        numbersOf,
        take(3),
        toArray(),
      ),
    );
    expect(await first("opened")).toMatchObject({ stream, isNew: true });
    await add(3);

    expect(await result).toEqual([1, 2, 3]);
  });

  it("begins a new group with new entries where start is $", async () => {
    await add(1, 2);
    const { status, first } = watched();

    const result = firstValueFrom(
      deliveries({ start: "$", status }).pipe(
        acknowledge(() => undefined),
        numbersOf,
      ),
    );
    await first("opened");
    await add(3);

    expect(await result).toBe(3);
  });

  it("reads several streams", async () => {
    await add(1);
    await redis.client.xadd("returns.events", "*", "event", '{"id":"r","n":7}');

    const numbers = await lastValueFrom(
      deliveries({ stream: [stream, "returns.events"] }).pipe(
        acknowledge(() => undefined),
        numbersOf,
        take(2),
        toArray(),
      ),
    );

    expect(numbers.sort()).toEqual([1, 7]);
  });

  it("gives a consumer that comes back what it had and did not acknowledge, with how often it was delivered", async () => {
    await add(1, 2, 3);
    await lastValueFrom(deliveries().pipe(take(3), toArray()));

    const again = await lastValueFrom(
      deliveries().pipe(
        take(3),
        map(({ event, deliveries }) => [event.n, deliveries]),
        toArray(),
      ),
    );

    expect(again).toEqual([
      [1, 2],
      [2, 2],
      [3, 2],
    ]);
  });

  it("hands out no more than the window, and reads on as deliveries are settled", async () => {
    await add(...Array.from({ length: 30 }, (_, n) => n));
    const release = new Subject<void>();
    const until = new Subject<void>();
    let handled = 0;

    const done = lastValueFrom(
      deliveries({ window: 10, count: 4, until }).pipe(
        acknowledge(() => release.pipe(take(1)), { concurrency: 100 }),
        tap(() => {
          handled += 1;
          if (handled === 30) until.next();
        }),
      ),
    );
    await waitUntil(async () => (await pending()) >= 8);
    expect(await pending()).toBeLessThanOrEqual(10);
    while (handled < 30) {
      release.next();
      await new Promise((resolve) => setImmediate(resolve));
      expect(await pending()).toBeLessThanOrEqual(10);
    }
    await done;

    expect(await pending()).toBe(0);
  });

  it("delivers a failed delivery again, and counts how often", async () => {
    await add(1);
    const seen: number[] = [];

    await firstValueFrom(
      deliveries({ redelivery: { initialMs: 1 } }).pipe(
        acknowledge((_, { deliveries }) => {
          seen.push(deliveries);
          if (deliveries < 3) throw new Error("not yet");
          return undefined;
        }),
      ),
    );

    expect(seen).toEqual([1, 2, 3]);
  });

  it("sets a delivery aside after maxDeliveries, with what went wrong and where, and acknowledges it", async () => {
    const [entryId] = await add(1);
    const { status, first } = watched();
    const until = new Subject<void>();

    const done = lastValueFrom(
      deliveries({
        deadLetters: { stream: "orders.dead" },
        maxDeliveries: 2,
        redelivery: { initialMs: 1 },
        status,
        until,
      }).pipe(
        acknowledge(() => {
          throw new Error("the mail box is full");
        }),
      ),
      { defaultValue: undefined },
    );
    expect(await first("deadLetter")).toMatchObject({ entryId, deliveries: 2 });
    until.next();
    await done;

    const [[, fields] = []] = await redis.client.xrange("orders.dead", "-", "+");
    expect(fields).toEqual([
      ...["event", '{"id":"o1","n":1}', "error", "HandlerFailed", "reason", "the mail box is full"],
      ...["stream", stream, "entry", entryId, "group", group, "consumer", "one", "deliveries", "2"],
    ]);
    expect(await pending()).toBe(0);
  });

  it("sets aside what its codec refuses, with all reasons, and handles the rest", async () => {
    await add(1);
    await redis.client.xadd(stream, "*", "event", '{"id":5,"n":"x"}');
    await redis.client.xadd(stream, "*", "event", "no JSON");
    await add(2);
    const codec = t.type({ id: t.string, n: t.number });

    const numbers = await lastValueFrom(
      deliveries({ codec, deadLetters: { stream: "orders.dead" } }).pipe(
        acknowledge(() => undefined),
        numbersOf,
        take(2),
        toArray(),
      ),
    );

    expect(numbers).toEqual([1, 2]);
    await waitUntil(async () => (await redis.client.xlen("orders.dead")) === 2);
    const reasons = (await redis.client.xrange("orders.dead", "-", "+")).map(([, fields]) => fields[5]);
    expect(reasons[0]).toBe("id: found a number, expected string; n: found text, expected number");
    expect(reasons[1]).toMatch(/found no JSON/);
  });

  it("ends with an error at what its codec refuses if there are no dead letters, after what came before", async () => {
    await add(1);
    const [bad] = await Promise.all([redis.client.xadd(stream, "*", "event", '{"id":5}')]);
    const codec = t.type({ id: t.string, n: t.number });
    const handled: number[] = [];

    const error = await failureOf(
      deliveries({ codec }).pipe(
        acknowledge(() => undefined),
        numbersOf,
        tap((n) => handled.push(n)),
      ),
    );

    expect(error._tag).toBe("EntryNotDecodable");
    expect(error.message).toContain(bad);
    expect(handled).toEqual([1]);
    expect(await pending()).toBe(1);
  });

  it("takes all fields where an entry has no field event", async () => {
    await redis.client.xadd(stream, "*", "id", "x", "n", "1");

    const { event } = await firstValueFrom(groupDeliveries({ uri: redis.uri, stream, group }));

    expect(event).toEqual({ id: "x", n: "1" });
  });

  it("claims what a consumer that is gone has left behind", async () => {
    await add(1, 2);
    await lastValueFrom(deliveries({ consumer: "gone", claimIdleMs: 30 }).pipe(take(2)));
    const { status, first } = watched();

    const result = lastValueFrom(
      deliveries({ claimIdleMs: 30, status }).pipe(
        acknowledge(() => undefined),
        map(({ delivery }) => [delivery.event.n, delivery.deliveries]),
        take(2),
        toArray(),
      ),
    );

    expect(await first("claimed")).toMatchObject({ entries: 2 });
    expect(await result).toEqual([
      [1, 2],
      [2, 2],
    ]);
  });

  it("keeps what it is busy with, for as long as that takes", async () => {
    await add(1);
    const other = watched();
    const slow = deliveries({ claimIdleMs: 300 }).subscribe();
    onTestFinished(() => slow.unsubscribe());
    await waitUntil(async () => (await pending()) === 1);
    const greedy = deliveries({
      consumer: "two",
      claimIdleMs: 300,
      blockMs: 10,
      status: other.status,
    }).subscribe();
    const looks = vi.fn();
    onTestFinished(() => greedy.unsubscribe());
    // Several times as long as it takes to count as idle.
    const until = performance.now() + 1200;
    await waitUntil(() => {
      looks();
      return performance.now() > until;
    });

    const [, , , [[owner] = []] = []] = (await redis.client.xpending(stream, group)) as [
      number,
      string,
      string,
      [string, string][],
    ];
    expect(owner).toBe("one");
  });

  it("acknowledges pending entries that were deleted, and says so", async () => {
    const [gone] = await add(1, 2);
    await lastValueFrom(deliveries().pipe(take(2)));
    await redis.client.xdel(stream, gone ?? "");
    const { status, first } = watched();

    const { event } = await firstValueFrom(
      deliveries({ status }).pipe(
        acknowledge(() => undefined),
        map(({ delivery }) => delivery),
      ),
    );

    expect(event.n).toBe(2);
    expect(await first("deleted")).toMatchObject({ entryIds: [gone] });
    await waitUntil(async () => (await pending()) === 0);
  });

  it("reads no more when told to stop, settles what it has, and leaves nothing pending", async () => {
    await add(...Array.from({ length: 20 }, (_, n) => n));
    const until = new Subject<void>();
    const release = new Subject<void>();
    const { status, first } = watched();
    let handled = 0;

    const done = lastValueFrom(
      deliveries({ window: 8, until, status }).pipe(
        acknowledge(() => release.pipe(take(1)), { concurrency: 8 }),
        tap(() => {
          handled += 1;
        }),
      ),
    );
    await waitUntil(async () => (await pending()) === 8);
    until.next();
    expect(await first("draining")).toMatchObject({ deliveries: 8 });
    release.next();
    await done;

    expect(handled).toBe(8);
    expect(await pending()).toBe(0);
    expect(await first("closed")).toBeDefined();
  });

  it("hands a delivery that failed while it stops to whoever comes next", async () => {
    await add(1);
    const until = new Subject<void>();
    const fail = new Subject<never>();

    const done = lastValueFrom(deliveries({ until, claimIdleMs: 60_000 }).pipe(acknowledge(() => fail)), {
      defaultValue: undefined,
    });
    await waitUntil(async () => (await pending()) === 1);
    until.next();
    fail.error(new Error("stopped"));
    await done;
    const next = await redis.client.xautoclaim(stream, group, "two", 60_000, "0");

    expect(next[1]).toHaveLength(1);
  });

  it("stops at once while it waits for entries", async () => {
    const until = new Subject<void>();
    const { status, first } = watched();
    const done = lastValueFrom(deliveries({ until, status, blockMs: 60_000 }), { defaultValue: undefined });
    await first("opened");
    await waitUntil(async () => /flags=b.*cmd=xreadgroup/.test(String(await redis.client.client("LIST"))));

    until.next();

    await done;
  });

  it("goes on after its connections are cut, without losing or repeating a delivery", async () => {
    const proxy = await startProxy(redis.port);
    const until = new Subject<void>();
    const handled: number[] = [];
    const done = lastValueFrom(
      deliveries({ uri: proxy.uri, until, retry: { initialMs: 10 } }).pipe(
        acknowledge(() => effects(["INCR", "handled"])),
        numbersOf,
        tap((n) => {
          handled.push(n);
          if (n % 100 === 50) proxy.reset();
        }),
        filter(() => handled.length === 1000),
        tap(() => until.next()),
      ),
    );
    for (let n = 0; n < 1000; n += 100) await add(...Array.from({ length: 100 }, (_, k) => n + k));
    await done;
    await proxy.stop();

    expect([...new Set(handled)].length).toBe(1000);
    expect(await redis.client.get("handled")).toBe("1000");
    expect(await pending()).toBe(0);
  });

  it("makes the group anew when Redis has lost its data, and reads what comes from then on", async () => {
    await add(1);
    const { status, first } = watched();
    const numbers: number[] = [];
    const reading = deliveries({ status })
      .pipe(
        acknowledge(() => undefined),
        numbersOf,
      )
      .subscribe((n) => numbers.push(n));
    await waitUntil(() => numbers.length === 1);
    await redis.client.flushall();
    await add(2);

    await waitUntil(() => numbers.length === 2);
    expect((await first("warning")).message).toMatch(/group was gone/);
    expect(numbers).toEqual([1, 2]);
    reading.unsubscribe();
  });

  it("writes effects with the acknowledgement, so that two consumers with one entry write them once", async () => {
    await add(1);
    const slow = new Subject<void>();
    const { status, first } = watched();
    const acknowledged = vi.fn();
    const late = deliveries({ claimIdleMs: 60_000, status })
      .pipe(
        acknowledge(() =>
          slow.pipe(
            map(() => effects(["INCR", "total"])),
            take(1),
          ),
        ),
      )
      .subscribe(acknowledged);
    await waitUntil(async () => (await pending()) === 1);
    // Another consumer takes it over, however long it has been idle.
    await redis.client.xclaim(stream, group, "two", 0, "0-0");
    const [id] = (await redis.client.xrange(stream, "-", "+"))[0] ?? [""];
    await redis.client.xclaim(stream, group, "two", 0, id);
    await firstValueFrom(
      deliveries({ consumer: "two" }).pipe(acknowledge(() => of(effects(["INCR", "total"])))),
    );
    slow.next();

    expect(await first("gone")).toMatchObject({ stream, entryId: id });
    expect(acknowledged).not.toHaveBeenCalled();
    late.unsubscribe();
    expect(await redis.client.get("total")).toBe("1");
    expect(await pending()).toBe(0);
  });

  it("takes a refused effect for a failure of the handler", async () => {
    await add(1);
    await redis.client.set("total", "no number");
    const { status, first } = watched();
    const reading = deliveries({ status, redelivery: { initialMs: 1 } })
      .pipe(acknowledge(() => effects(["INCR", "total"])))
      .subscribe();

    const { reason } = await first("rejected");
    expect(String(reason)).toMatch(/not an integer/);
    await redis.client.del("total");
    await waitUntil(async () => (await pending()) === 0);
    expect(await redis.client.get("total")).toBe("1");
    reading.unsubscribe();
  });

  it("remembers processed events in Redis, for all consumers of the group and no longer than the window", async () => {
    await add(1, 1, 2, 3);
    const until = new Subject<void>();
    const handled: number[] = [];
    const consume = (consumer: string, stopAfter: number) =>
      lastValueFrom(
        deliveries({ consumer, until }).pipe(
          deduplicate({ key: ({ id }) => id, window: 2 }),
          acknowledge(() => undefined),
          numbersOf,
          tap((n) => {
            handled.push(n);
            if (handled.length === stopAfter) until.next();
          }),
        ),
      );
    await consume("one", 3);
    await add(3, 4);
    await consume("two", 4);

    expect(handled).toEqual([1, 2, 3, 4]);
    const marks = await redis.client.zrange(`{${stream}}:rxadd:${group}:processed`, "0", "-1");
    expect(marks).toEqual(["o3", "o4"]);
    expect(await pending()).toBe(0);
  });

  it("ends with an error when the stream holds something else", async () => {
    await redis.client.set(stream, "text");

    expect((await failureOf(deliveries()))._tag).toBe("WrongType");
  });

  it("ends with an error when the password is wrong, without printing it", async () => {
    const error = await failureOf(deliveries({ uri: `redis://nobody:geheim@127.0.0.1:${redis.port}` }));

    expect(error._tag).toBe("AuthenticationFailed");
    expect(error.message).not.toContain("geheim");
  });

  it("says at once all that is wrong with its options", () => {
    const options = { uri: "redis://h", stream: "", group: "", window: 0 };

    expect(() => groupDeliveries(options)).toThrow(/groupDeliveries: stream: .*; group: .*; window: /);
    expect(() => groupDeliveries({ uri: "redis://h", stream, group, maxDeliveries: 3 })).toThrow(
      /maxDeliveries: found 3, expected deadLetters/,
    );
  });

  it("leaves no connection behind, and leaves the caller's alone", async () => {
    await add(1);
    const own = redis.client.duplicate();
    const names = async () => String(await redis.client.client("LIST")).match(/name=rxadd:left\S*/g) ?? [];

    await firstValueFrom(
      groupDeliveries<Order>({ connection: own, stream, group: "left" }).pipe(acknowledge(() => undefined)),
    );
    await firstValueFrom(deliveries({ group: "left-too" }));

    await waitUntil(async () => (await names()).length === 0);
    expect(await own.ping()).toBe("PONG");
    own.disconnect();
  });
});
