import {
  concat,
  firstValueFrom,
  lastValueFrom,
  type MonoTypeOperatorFunction,
  map,
  type OperatorFunction,
  of,
  Subject,
  tap,
  toArray,
} from "rxjs";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import {
  acknowledge,
  type ConsumerObserver,
  type Delivery,
  deadLetter,
  deduplicate,
  effects,
  type GroupOptions,
  groupDeliveries,
  type Handled,
  retryIn,
} from "../../src/consumer.ts";
import { statusLogger } from "../../src/index.ts";
import { consumerMetrics, health } from "../../src/metrics/index.ts";
import { watched } from "../kit/load/watched.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

interface Order {
  readonly id: string;
  readonly n: number;
}

const stream = "orders.events";
const dead = "orders.dead";
const group = "mailer";

const redis = emptyRedis();

async function add(...events: readonly unknown[]): Promise<void> {
  for (const event of events) await redis.client.xadd(stream, "*", "event", JSON.stringify(event));
}

function deliveries(settings: Partial<GroupOptions<Order>> = {}) {
  return groupDeliveries<Order>({
    uri: redis.uri,
    stream,
    group,
    consumer: "one",
    blockMs: 200,
    deadLetters: { stream: dead },
    maxDeliveries: 2,
    redelivery: { initialMs: 1 },
    ...settings,
  });
}

/** Of the group; undefined: it is not there yet. */
async function pending(): Promise<number | undefined> {
  const [count] = await redis.client.xpending(stream, group).catch(() => []);
  return count === undefined ? undefined : Number(count);
}

/** The events of the dead letters, and why they are there. */
async function deadLetters(): Promise<readonly (readonly [unknown, string | undefined])[]> {
  const letters = await redis.client.xrange(dead, "-", "+");
  return letters.map(([, fields]) => [JSON.parse(fields[1] ?? ""), fields[fields.indexOf("reason") + 1]]);
}

/** Handles until so many are settled, one way or the other; gives the numbers of those that were acknowledged. */
function handled(
  count: number,
  handler: (order: Order, delivery: Delivery<Order>) => Handled<unknown>,
  how: {
    readonly settings?: Partial<GroupOptions<Order>>;
    readonly orderBy?: (order: Order) => string;
    readonly before?: MonoTypeOperatorFunction<Delivery<Order>>;
    readonly concurrency?: number;
  } = {},
): Promise<readonly number[]> {
  const { settings = {}, orderBy, before = (source) => source, concurrency = 10 } = how;
  const until = new Subject<void>();
  const settled = { left: count };
  const one = () => {
    settled.left -= 1;
    if (settled.left === 0) until.next();
  };
  const status = { next: ({ state }: { readonly state: string }) => state === "deadLetter" && one() };
  return lastValueFrom(
    deliveries({ until, status, ...settings }).pipe(
      before,
      acknowledge(handler, { concurrency, ...(orderBy !== undefined && { orderBy }) }),
      map(({ delivery }) => delivery.event.n),
      tap(one),
      toArray(),
    ),
  );
}

const keyless = {
  orderBy: (order: Order) => {
    if (order.n === 2) throw new Error("no customer");
    return "ann";
  },
};

describe("a handler that misbehaves", () => {
  it.each<[string, (order: Order) => Handled<unknown>, RegExp]>([
    [
      "asks for an effect without a value",
      () => effects(["HINCRBY", "totals", undefined as never, 1]),
      /^effects: HINCRBY: argument 1: found nothing, expected a text, /,
    ],
    [
      "asks for an effect of 9,002 words",
      () => effects(["RPUSH", "list", ...Array.from({ length: 9000 }, (_, index) => index)]),
      /^effects: RPUSH: found 9002 words, expected at most 7500/,
    ],
    ["asks for a command that is none", () => effects(["NOSUCH", "list"]), /Unknown Redis command/i],
    ["asks for what Redis refuses", () => effects(["INCR", "text"]), /not an integer/],
    ["sets it aside", () => deadLetter("it has no customer"), /^it has no customer$/],
    ["sets it aside later, with an error", async () => deadLetter(new Error("no customer")), /^no customer$/],
    [
      "asks for it again after no time",
      () => retryIn(Number.NaN),
      /^retryIn: found NaN, expected a number of /,
    ],
    ["rejects with a symbol", () => Promise.reject(Symbol("no")), /^Symbol\(no\)$/],
    [
      "rejects with what has no text",
      () => Promise.reject(Object.create(null)),
      /^something that has no text$/,
    ],
  ])("fails its delivery alone where it %s", async (_name, handler, reason) => {
    await redis.client.set("text", "no number");
    await add({ id: "a", n: 1 }, { id: "b", n: 2 }, { id: "c", n: 3 });

    const numbers = await handled(3, (order) =>
      order.n === 2 ? handler(order) : effects(["INCR", "total"]),
    );

    expect(numbers).toEqual([1, 3]);
    expect(await deadLetters()).toEqual([[{ id: "b", n: 2 }, expect.stringMatching(reason)]]);
    expect(await redis.client.get("total")).toBe("2");
    expect(await pending()).toBe(0);
  });

  it("fails its delivery alone where orderBy throws", async () => {
    await add({ id: "a", n: 1 }, { id: "b", n: 2 }, { id: "c", n: 3 });

    const numbers = await handled(3, () => undefined, keyless);

    expect(numbers).toEqual([1, 3]);
    expect(await deadLetters()).toEqual([[{ id: "b", n: 2 }, "no customer"]]);
    expect(await pending()).toBe(0);
  });

  it("fails its delivery alone where the key of deduplicate cannot be told", async () => {
    await add({ id: "a", n: 1 }, { n: 2 }, null, { id: "c", n: 3 });

    const numbers = await handled(4, () => undefined, { before: deduplicate({ key: ({ id }) => id }) });

    expect(numbers).toEqual([1, 3]);
    expect(await deadLetters()).toEqual([
      [{ n: 2 }, "key: found nothing, expected a text that is not empty: this event has no key"],
      [null, expect.stringMatching(/^Cannot (destructure|read)/)],
    ]);
    expect(await pending()).toBe(0);
  });

  it("writes as large an effect as it may ask for", async () => {
    await add({ id: "a", n: 1 });
    const items = Array.from({ length: 7498 }, (_, index) => index);

    expect(await handled(1, () => effects(["RPUSH", "list", ...items]))).toEqual([1]);
    expect(await redis.client.llen("list")).toBe(7498);
  });

  it("writes texts, numbers, bigints and bytes as they are", async () => {
    await add({ id: "a", n: 1 });

    await handled(1, () =>
      effects(["SET", "bytes", Buffer.from([255, 0, 254])], ["RPUSH", "l", "é😀", 1.5, 5n]),
    );

    expect(await redis.client.getBuffer("bytes")).toEqual(Buffer.from([255, 0, 254]));
    expect(await redis.client.lrange("l", 0, -1)).toEqual(["é😀", "1.5", "5"]);
  });
});

describe("effects", () => {
  it("are sent a few at a time where they are large", async () => {
    const numbers = Array.from({ length: 12 }, (_, n) => n);
    await add(...numbers.map((n) => ({ id: `o${n}`, n })));
    const large = "x".repeat(2 * 1024 * 1024);
    const release = new Subject<void>();
    let running = 0;
    /** Of the calls of scripts, how many words the longest one has; of a long one Redis shows the first ones. */
    const longest = async () => {
      const log = await redis.client.call("SLOWLOG", "GET", "10000");
      const calls = (log as unknown[][]).map((entry) => entry[3] as string[]);
      const lengths = calls
        .filter(([name]) => /^eval/i.test(name ?? ""))
        .map((words) => words.length + Number(/\((\d+) more arguments\)/.exec(words.at(-1) ?? "")?.[1] ?? 0));
      return Math.max(...lengths);
    };
    await redis.client.config("SET", "slowlog-log-slower-than", "0", "slowlog-max-len", "10000");
    onTestFinished(async () => {
      await redis.client.config("SET", "slowlog-log-slower-than", "10000", "slowlog-max-len", "128");
    });

    await handled(
      12,
      ({ n }) => {
        running += 1;
        if (running === 12) queueMicrotask(() => release.complete());
        return concat(release, of(effects(["SET", `large:${n}`, large])));
      },
      { concurrency: 12 },
    );

    // Four deliveries with some eight words each go with one call.
    expect(await longest()).toBeLessThan(60);
  });

  it("are not repeated, nor left out, while the memory of Redis is full", async () => {
    await redis.client.rpush("queue", "a", "b", "c");
    await add({ id: "a", n: 1 }, { id: "b", n: 2 });
    const { status, first } = watched();
    const until = new Subject<void>();
    const release = new Subject<void>();
    const done = lastValueFrom(
      deliveries({ status, until, retry: { initialMs: 5, maxMs: 10 } }).pipe(
        acknowledge(
          ({ n }) =>
            concat(
              release,
              of(n === 1 ? effects(["RPUSH", "done", n]) : effects(["LPOP", "queue"], ["RPUSH", "done", n])),
            ),
          { concurrency: 2 },
        ),
        map(({ delivery }) => delivery.event.n),
        toArray(),
      ),
    );
    await waitUntil(async () => (await pending()) === 2);
    await redis.client.config("SET", "maxmemory", "1");
    onTestFinished(async () => {
      await redis.client.config("SET", "maxmemory", "0");
    });
    release.complete();
    expect((await first("retrying")).cause._tag).toBe("OutOfMemory");
    await redis.client.config("SET", "maxmemory", "0");
    await waitUntil(async () => (await pending()) === 0);
    until.next();

    expect([...(await done)].sort()).toEqual([1, 2]);
    expect(await redis.client.lrange("queue", 0, -1)).toEqual(["b", "c"]);
    expect([...(await redis.client.lrange("done", 0, -1))].sort()).toEqual(["1", "2"]);
  });
});

describe("whoever is told what a consumer does", () => {
  it("ends nothing by throwing, and is told on", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => warned.mockRestore());
    await add({ id: "a", n: 1 }, { id: "b", n: 2 });
    const states: string[] = [];
    const thrown = (): never => {
      throw new Error("no log");
    };
    const metrics: Required<ConsumerObserver> = {
      status: thrown,
      delivered: thrown,
      acknowledged: thrown,
      held: thrown,
    };
    const status: GroupOptions<Order>["status"] = {
      next: ({ state }) => {
        states.push(state);
        thrown();
      },
    };

    const numbers = await handled(2, () => undefined, { settings: { status, metrics } });

    expect(numbers).toEqual([1, 2]);
    expect(states).toEqual(["connecting", "warning", "warning", "opened", "reading", "draining", "closed"]);
    expect(warned.mock.calls[0]).toEqual([
      "groupDeliveries mailer: status threw: no log; it goes on being told, and no more is said of its errors",
      "RxaddWarning",
    ]);
    expect(await pending()).toBe(0);
  });
});

describe("the observers of a consumer", () => {
  it("are told next to each other: a log, metrics and a health", async () => {
    await add({ id: "a", n: 1 }, { id: "b", n: 2 });
    const lines: string[] = [];
    const log = (_: unknown, message: string) => lines.push(message);
    const healthy = health();
    const metrics = consumerMetrics({ group });
    const observers = [statusLogger({ info: log, warn: log, error: log }), metrics, healthy];

    await handled(2, () => undefined, { settings: { observers } });

    expect(lines).toEqual([
      "connecting",
      `${stream}: reading, and made the group`,
      "reading",
      expect.stringMatching(/^reading no more/),
      "closed",
    ]);
    expect(healthy.now()).toEqual({ alive: true, ready: false, state: "closed" });
    expect(await metrics.registry.metrics()).toContain(
      'rxadd_consumer_acknowledged_total{group="mailer",consumer=""} 2',
    );
  });

  it("are refused where they hear of nothing", () => {
    const settings = { observers: [{ status: () => {} }, { delivred: () => {} }] } as object;

    expect(() => deliveries(settings)).toThrow(
      "groupDeliveries: observers[1]: found an object, expected an observer, with a function status, delivered, acknowledged or held",
    );
  });
});

describe("a consumer that stops", () => {
  it("hands back what comes after one of its key that it hands back, so that the next one handles them in order", async () => {
    await add(...[1, 2, 3].map((n) => ({ id: "k", n })));
    const until = new Subject<void>();
    const order: number[] = [];
    const orderBy = ({ id }: Order) => id;

    const first = await lastValueFrom(
      deliveries({ until }).pipe(
        acknowledge(
          ({ n }) => {
            order.push(n);
            until.next();
            throw new Error("the mail box is full");
          },
          { concurrency: 10, orderBy },
        ),
        toArray(),
      ),
    );
    expect(first).toEqual([]);
    expect(await pending()).toBe(3);
    await handled(
      3,
      ({ n }) => {
        order.push(n);
        return effects(["SET", "state", n]);
      },
      { orderBy },
    );

    expect(order).toEqual([1, 1, 2, 3]);
    expect(await redis.client.get("state")).toBe("3");
    expect(await pending()).toBe(0);
  });

  it("is not held up by a delivery that became another consumer's while it waited, with deduplicate before it", async () => {
    await add({ id: "a", n: 1 }, { id: "b", n: 2 });
    const { status, first } = watched();
    const until = new Subject<void>();
    const release = new Subject<void>();
    const running: number[] = [];
    const done = lastValueFrom(
      deliveries({ until, status, claimIdleMs: 300 }).pipe(
        deduplicate({ key: ({ id }) => id }),
        acknowledge(({ n }) => {
          running.push(n);
          return n === 1 ? release : undefined;
        }),
        map(({ delivery }) => delivery.event.n),
        toArray(),
      ),
    );
    await waitUntil(async () => running.length === 1 && (await pending()) === 2);
    const [, b] = await redis.client.xrange(stream, "-", "+");
    await redis.client.xclaim(stream, group, "another", 0, b?.[0] ?? "");
    await redis.client.xack(stream, group, b?.[0] ?? "");
    await first("gone");
    await add({ id: "b", n: 3 });
    release.complete();
    await waitUntil(() => running.includes(3));
    until.next();

    expect(await done).toEqual([1, 3]);
    expect(await pending()).toBe(0);
  });
});

describe("who changes or copies a delivery", () => {
  it("changes nothing of how it comes again, or of its dead letter", async () => {
    await redis.client.xadd(stream, "*", "event", JSON.stringify({ id: "a", n: 1 }), "source", "shop");
    await add({ id: "b", n: 2 });
    const entryIds = (await redis.client.xrange(stream, "-", "+")).map(([id]) => id);
    const seen: unknown[] = [];
    const until = new Subject<void>();
    const status: GroupOptions<Order>["status"] = {
      next: ({ state }) => {
        if (state === "deadLetter" && seen.length === 4) until.next();
      },
    };

    await lastValueFrom(
      deliveries({ until, status }).pipe(
        acknowledge(
          (order, delivery) => {
            seen.push([order.n, delivery.stream, delivery.entryId, delivery.deliveries]);
            for (const name of Reflect.ownKeys(delivery)) Reflect.deleteProperty(delivery, name);
            Object.assign(delivery, { stream: "others", entryId: "9-9", deliveries: 7, content: [] });
            throw new Error("the mail box is full");
          },
          { orderBy: () => "all" },
        ),
      ),
      { defaultValue: undefined },
    );

    const [a, b] = entryIds;
    expect(seen).toEqual([
      [1, stream, a, 1],
      [1, stream, a, 2],
      [2, stream, b, 1],
      [2, stream, b, 2],
    ]);
    expect(await pending()).toBe(0);
    const letters = (await redis.client.xrange(dead, "-", "+")).map(([, words]) => words);
    expect(letters.map((words) => words.slice(0, 4))).toEqual([
      ["event", JSON.stringify({ id: "a", n: 1 }), "source", "shop"],
      ["event", JSON.stringify({ id: "b", n: 2 }), "error", "HandlerFailed"],
    ]);
    expect(letters.map((words) => words.slice(-2))).toEqual([
      ["deliveries", "2"],
      ["deliveries", "2"],
    ]);
  });

  it("cannot change what was read", async () => {
    await add({ id: "a", n: 1 });

    const delivery = await firstValueFrom(deliveries());

    expect(() => (delivery.content as unknown[]).splice(0)).toThrow(TypeError);
  });

  it("may hand on copies by spread, of another event and under another name", async () => {
    await add({ id: "a", n: 1 }, { id: "a", n: 2 }, { id: "b", n: 3 });
    const until = new Subject<void>();
    let failures = 0;

    const numbers = await lastValueFrom(
      deliveries({ until }).pipe(
        map((delivery) => ({ ...delivery, stream: "elsewhere", event: { of: delivery.event, key: "k" } })),
        deduplicate({ key: ({ of }) => of.id }),
        map((delivery) => ({ ...delivery, entryId: "0-1", event: delivery.event.of.n })),
        acknowledge((n) => {
          if (n !== 1 || failures > 0) return undefined;
          failures += 1;
          throw new Error("the mail box is full");
        }),
        map(({ delivery }) => delivery.event),
        tap((n) => n === 1 && until.next()),
        toArray(),
      ),
    );

    expect(numbers).toEqual([3, 1]);
    expect(await pending()).toBe(0);
  });

  it.each<readonly [string, () => OperatorFunction<Delivery<Order>, unknown>]>([
    ["acknowledge", () => acknowledge<Order>(() => undefined)],
    ["deduplicate", () => deduplicate<Order>({ key: ({ id }) => id })],
  ])("is told that a copy which has lost what settles it cannot be settled (%s)", async (name, operator) => {
    await add({ id: "a", n: 1 });
    const copies$ = deliveries().pipe(map((delivery) => structuredClone(delivery)));

    await expect(lastValueFrom(copies$.pipe(operator()))).rejects.toMatchObject({
      _tag: "ConfigurationInvalid",
      message: `${name}: found what no consumer has handed out, or a copy that has lost what settles it, expected a delivery: copy it by spread, { ...delivery, event }`,
    });
  });
});
