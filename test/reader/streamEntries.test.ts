import { execFileSync } from "node:child_process";
import * as t from "io-ts";
import {
  firstValueFrom,
  lastValueFrom,
  map,
  type Observable,
  ReplaySubject,
  Subject,
  type Subscription,
  take,
  tap,
  toArray,
} from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Flow } from "../../operators/index.ts";
import {
  type ConsumerStatus,
  type StreamEntriesOptions,
  type StreamEntry,
  streamEntries,
} from "../../src/consumer.ts";
import { watched } from "../kit/load/watched.ts";
import { startProxy } from "../kit/network/tcpProxy.ts";
import { failureOf } from "../kit/program/failureOf.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

interface Order {
  readonly n: number;
}

const stream = "orders.events";

const redis = emptyRedis();

/** Entries 1-0, 2-0 and so on. */
async function add(first: number, last = first): Promise<void> {
  const pipeline = redis.client.pipeline();
  for (let n = first; n <= last; n += 1) pipeline.xadd(stream, `${n}-0`, "event", `{"n":${n}}`);
  await pipeline.exec();
}

function entries(settings: Partial<StreamEntriesOptions<Order>> = {}): Observable<StreamEntry<Order>> {
  return streamEntries<Order>({ uri: redis.uri, stream, blockMs: 200, ...settings });
}

function numbers(count: number) {
  return (entries$: Observable<StreamEntry<Order>>) =>
    lastValueFrom(
      entries$.pipe(
        map(({ event }) => event.n),
        take(count),
        toArray(),
      ),
    );
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** Ends with the test. */
function running(subscription: Subscription): void {
  onTestFinished(() => subscription.unsubscribe());
}

describe("streamEntries", () => {
  it("reads what is added from now on", async () => {
    await add(1, 3);
    const { status, first } = watched();

    const result = numbers(2)(entries({ status }));
    await first("opened");
    await add(4, 5);

    expect(await result).toEqual([4, 5]);
  });

  it("reads all there is, and goes on with what comes", async () => {
    await add(1, 3);
    const { status, first } = watched();

    const result = numbers(5)(entries({ from: "0-0", count: 2, status }));
    await first("reading");
    await add(4, 5);

    expect(await result).toEqual([1, 2, 3, 4, 5]);
  });

  it("reads what stands after an entry", async () => {
    await add(1, 5);

    expect(await numbers(2)(entries({ from: "3-0" }))).toEqual([4, 5]);
  });

  it("gives the fields as they stand, the event decoded, the stream and the entry ID", async () => {
    await redis.client.xadd(stream, "7-3", "event", '{"n":1}', "key", "ké");

    expect(await firstValueFrom(entries({ from: "0-0" }))).toEqual({
      stream,
      entryId: "7-3",
      fields: { event: '{"n":1}', key: "ké" },
      content: ["event", '{"n":1}', "key", "ké"],
      event: { n: 1 },
    });
  });

  it("waits for a stream that is not there yet", async () => {
    const { status, first } = watched();

    const result = numbers(1)(entries({ status }));
    await first("opened");
    await add(1);

    expect(await result).toEqual([1]);
  });

  it("reads many streams on one connection that waits", async () => {
    const streams = range(1, 200).map((n) => `orders.${n}`);
    const { status, first } = watched();

    const result = lastValueFrom(
      entries({ stream: streams, status }).pipe(
        map((entry) => entry.stream),
        take(200),
        toArray(),
      ),
    );
    await first("opened");
    const connections = String(await redis.client.client("LIST")).match(/name=rxadd:reader/g);
    for (const name of streams) await redis.client.xadd(name, "*", "event", '{"n":1}');

    expect((await result).sort()).toEqual([...streams].sort());
    expect(connections).toHaveLength(2);
  });

  it("misses nothing between two reads, and nothing while its connections are cut", async () => {
    const proxy = await startProxy(redis.port);
    onTestFinished(() => proxy.stop());
    const { status, first } = watched();
    const result = numbers(2000)(
      entries({ uri: proxy.uri, status, count: 7, retry: { initialMs: 1, maxMs: 5 } }),
    );
    await first("opened");

    for (let n = 1; n <= 2000; n += 20) {
      await add(n, n + 19);
      if (n % 100 === 1) proxy.reset();
    }

    expect(await result).toEqual(range(1, 2000));
  });

  it("says how many entries were trimmed before it had read them", async () => {
    await add(1, 10);
    const flow = new Subject<Flow>();
    const { status, first } = watched();
    const seen: number[] = [];
    running(
      entries({ from: "0-0", count: 5, flow, status }).subscribe(({ event }) => {
        seen.push(event.n);
        if (event.n === 5) flow.next("pause");
      }),
    );
    await waitUntil(() => seen.length === 5);

    await add(11, 20);
    await redis.client.xtrim(stream, "MAXLEN", 3);
    flow.next("resume");

    expect(await first("gap")).toEqual({ state: "gap", stream, after: "5-0", before: "18-0", missed: 12 });
  });

  it("counts each gap by itself", async () => {
    await add(1, 4);
    const flow = new Subject<Flow>();
    const gaps: unknown[] = [];
    const seen: number[] = [];
    running(
      entries({
        from: "0-0",
        count: 2,
        flow,
        status: { next: (now) => now.state === "gap" && gaps.push(now.missed) },
      }).subscribe(({ event }) => {
        seen.push(event.n);
        if (seen.length % 2 === 0) flow.next("pause");
      }),
    );
    await waitUntil(() => seen.length === 2);
    for (const [first, last] of [
      [5, 10],
      [11, 20],
    ] as const) {
      const before = seen.length;
      await add(first, last);
      await redis.client.xtrim(stream, "MAXLEN", 2);
      flow.next("resume");
      await waitUntil(() => seen.length === before + 2);
      await waitUntil(() => gaps.length === (first === 5 ? 1 : 2));
    }

    expect(seen).toEqual([1, 2, 9, 10, 19, 20]);
    expect(gaps).toEqual([6, 8]);
  });

  const nothing = async () => {};
  const trim = () => redis.client.xtrim(stream, "MAXLEN", 5);
  it.each([
    { where: "what it has read was trimmed", before: nothing, meanwhile: trim },
    {
      where: "the stream had been trimmed before it began",
      before: () => redis.client.xtrim(stream, "MAXLEN", 10),
      meanwhile: nothing,
    },
    {
      where: "the entry that it read last was deleted",
      before: nothing,
      meanwhile: () => redis.client.xdel(stream, "10-0"),
    },
  ])("reports no gap where $where", async ({ before, meanwhile }) => {
    await add(1, 15);
    await before();
    const flow = new Subject<Flow>();
    const states: string[] = [];
    const seen: number[] = [];
    running(
      entries({ from: "0-0", count: 5, flow, status: { next: ({ state }) => states.push(state) } }).subscribe(
        ({ event }) => {
          seen.push(event.n);
          if (event.n === 10) flow.next("pause");
        },
      ),
    );
    await waitUntil(() => seen.includes(10));

    await meanwhile();
    flow.next("resume");
    await waitUntil(() => seen.at(-1) === 15);
    // Asked for after the question whether anything was missed.
    await add(16);
    await waitUntil(() => seen.at(-1) === 16);

    expect(states).not.toContain("gap");
  });

  describe("from an ID that was kept", () => {
    function reading(from: string) {
      const flow = new Subject<Flow>();
      const gaps: unknown[] = [];
      const seen: number[] = [];
      const { status, first } = watched();
      const gap = {
        next: (now: ConsumerStatus) => now.state === "gap" && gaps.push([now.after, now.before, now.missed]),
      };
      running(entries({ from, flow, status: [status, gap] }).subscribe(({ event }) => seen.push(event.n)));
      return { flow, gaps, seen, hasOpened: first("opened") };
    }

    /** It has read entry `last` and two more by then: it asks what is missing before one while the next one comes. */
    async function gapsUpTo(last: number, { gaps, seen }: ReturnType<typeof reading>): Promise<unknown[]> {
      await waitUntil(() => seen.at(-1) === last);
      for (const n of [last + 1, last + 2]) {
        await add(n);
        await waitUntil(() => seen.at(-1) === n);
      }
      return gaps;
    }

    it("tells that some may be missing, where nobody knows whether only older ones were trimmed", async () => {
      await add(1, 20);
      await redis.client.xtrim(stream, "MAXLEN", 10);

      expect(await gapsUpTo(20, reading("10-0"))).toEqual([["10-0", "11-0", undefined]]);
    });

    it.each<[string, string, () => Promise<unknown>]>([
      ["that is there", "5-0", async () => {}],
      ["that was deleted by itself", "5-0", () => redis.client.xdel(stream, "5-0")],
      ["that was the last one, and all is trimmed", "10-0", () => redis.client.xtrim(stream, "MAXLEN", 0)],
      ["that says a time, without a number", "0", async () => {}],
    ])("tells nothing behind one %s", async (_which, from, meanwhile) => {
      await add(1, 10);
      await meanwhile();

      const reader = reading(from);
      await reader.hasOpened;
      await add(11);

      expect(await gapsUpTo(11, reader)).toEqual([]);
    });

    it("tells nothing before which no entry can have stood", async () => {
      for (const id of ["7-1", "7-2", "7-3"]) await redis.client.xadd(stream, id, "event", '{"n":7}');
      await redis.client.xtrim(stream, "MAXLEN", 1);

      expect(await gapsUpTo(7, reading("7-2"))).toEqual([]);
    });

    it("tells nothing behind one that no entry had, where none was ever trimmed", async () => {
      await redis.client.xadd(stream, "7-0", "event", '{"n":7}');

      expect(await gapsUpTo(7, reading("3-5"))).toEqual([]);
    });

    it.each<[string, string, () => Promise<unknown>, unknown[]]>([
      ["the last one", "10-0", async () => {}, []],
      ["the last one, where all is trimmed", "10-0", () => redis.client.xtrim(stream, "MAXLEN", 0), []],
      ["one behind which it has read all there is", "4-0", async () => {}, []],
      [
        "one that was trimmed, which it has told",
        "1-0",
        () => redis.client.xtrim(stream, "MAXLEN", 8),
        [["1-0", "3-0", undefined]],
      ],
    ])("counts what is missing later behind %s", async (_which, from, meanwhile, told) => {
      await add(1, 10);
      await meanwhile();
      const reader = reading(from);
      await reader.hasOpened;
      await add(11);
      await gapsUpTo(11, reader);
      reader.flow.next("pause");

      await add(14, 30);
      await redis.client.xtrim(stream, "MAXLEN", 5);
      reader.flow.next("resume");

      await waitUntil(() => reader.seen.at(-1) === 30);
      await waitUntil(() => reader.gaps.length > told.length);
      expect(reader.gaps.slice(0, -1)).toEqual(told);
      // What the read that waits brings is not missing.
      const missed = range(14, 25).filter((n) => !reader.seen.includes(n)).length;
      expect(reader.gaps.at(-1)).toEqual([expect.any(String), "26-0", missed]);
    });
  });

  it("emits no entry more while it is told to pause, also of those that it has read", async () => {
    await add(1, 100);
    const flow = new Subject<Flow>();
    const seen: number[] = [];
    running(
      entries({ from: "0-0", count: 10, flow }).subscribe(({ event }) => {
        seen.push(event.n);
        if (event.n % 7 === 0) flow.next("pause");
      }),
    );

    for (let pauses = 1; pauses <= 14; pauses += 1) {
      await waitUntil(() => seen.length === 7 * pauses);
      await redis.client.ping();
      expect(seen).toHaveLength(7 * pauses);
      flow.next("resume");
    }
    await waitUntil(() => seen.length === 100);

    expect(seen).toEqual(range(1, 100));
  });

  it("ends with an error at what its codec refuses, and names the entry and the reason", async () => {
    await add(1);
    await redis.client.xadd(stream, "2-0", "event", '{"n":"two"}');
    const codec = t.type({ n: t.number });
    const seen: number[] = [];

    const error = await failureOf(
      entries({ from: "0-0", codec }).pipe(tap(({ event }) => seen.push(event.n))),
    );

    expect(seen).toEqual([1]);
    expect(error._tag).toBe("EntryNotDecodable");
    expect(error.message).toMatch(/2-0.*: n: found text, expected number: /);
  });

  it("ends where somebody has replaced the stream by something else", async () => {
    await redis.client.set(stream, "text");

    expect((await failureOf(entries()))._tag).toBe("WrongType");
  });

  it("completes when until emits, and closes its connections", async () => {
    await add(1);
    const until = new ReplaySubject<void>(1);
    const { status, first } = watched();

    await lastValueFrom(entries({ from: "0-0", until, status }).pipe(tap(() => until.next())), {
      defaultValue: undefined,
    });

    expect(await first("closed")).toEqual({ state: "closed", cause: undefined });
    await waitUntil(async () => !String(await redis.client.client("LIST")).includes("rxadd:reader"));
  });

  it("asks on the connection that it is given, waits on another one, and leaves the first open", async () => {
    await add(1);

    const { event } = await firstValueFrom(
      streamEntries<Order>({ connection: redis.client, stream, from: "0-0", blockMs: 200 }),
    );

    expect(event).toEqual({ n: 1 });
    expect(redis.client.status).toBe("ready");
  });

  it("reads what redis-cli adds", async () => {
    const cli = (...args: string[]) => execFileSync("redis-cli", ["-p", `${redis.port}`, ...args]);
    cli("XADD", stream, "*", "event", '{"n": 1}');
    cli("XADD", stream, "*", "user", "7", "action", "log in");

    const seen = await lastValueFrom(
      entries({ from: "0-0" }).pipe(
        map(({ event }) => event),
        take(2),
        toArray(),
      ),
    );

    expect(seen).toEqual([{ n: 1 }, { user: "7", action: "log in" }]);
  });

  it.each([
    [{ from: "yesterday" }, /from: found yesterday, expected an entry ID such as/],
    [{ stream: [] }, /stream: found .*, expected a stream key or several/],
    [{ count: 0 }, /count: found 0/],
  ])("refuses %o at once, and says what it expects", (settings, message) => {
    expect(() => entries(settings)).toThrow(message);
  });
});
