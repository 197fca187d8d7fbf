import { map, merge, type Observable, tap } from "rxjs";
import { TestScheduler } from "rxjs/testing";
import { expect, it } from "vitest";
import {
  acknowledge,
  acknowledgeBatch,
  type Delivery,
  deadLetter,
  deduplicate,
  effects,
  type GroupOptions,
  giveBack,
  groupDeliveries,
  streamEntries,
} from "../../src/consumer.ts";
import { redisSink } from "../../src/index.ts";
import { type FakeRedis, fakeRedis } from "../../src/testing/index.ts";

interface Order {
  readonly id: string;
}

const stream = "orders";
const group = "mailer";
const marbles = () => new TestScheduler((actual, expected) => expect(actual).toEqual(expected));

/** Publishes, and tells when each is safe. */
const published = (orders$: Observable<Order>, redis: FakeRedis): Observable<string> =>
  orders$.pipe(
    redisSink<Order>({ id: "shop", connection: redis, stream, retry: { jitter: 0 } }),
    map(() => "p"),
  );

const deliveries = (redis: FakeRedis, more: Partial<GroupOptions<Order>> = {}): Observable<Delivery<Order>> =>
  groupDeliveries<Order>({
    ...{ connection: redis, stream, group, redelivery: { jitter: 0 }, retry: { jitter: 0 } },
    ...more,
  });

const idOf = map(({ delivery }: { readonly delivery: Delivery<Order> }) => delivery.event.id);
const a = { id: "a" };
const b = { id: "b" };
const c = { id: "c" };

it("publishes and consumes in one test, handlers and retries included", () => {
  marbles().run(({ hot, cold, expectObservable, flush }) => {
    const redis = fakeRedis({ latencyMs: 0 });
    const orders$ = hot("  -a-b----|", { a, b });
    const safe = "         -p-p----|";
    const until = cold("   1s x");
    const mailed = "       ---a 101ms b 894ms |";
    const mail = ({ id }: Order, { deliveries }: Delivery<Order>) => {
      if (id === "b" && deliveries === 1) throw new Error("its server is away");
      return cold("--|");
    };

    expectObservable(published(orders$, redis)).toBe(safe);
    expectObservable(deliveries(redis, { until }).pipe(acknowledge(mail), idOf)).toBe(mailed);
    flush();

    expect(redis.pending(stream, group)).toEqual([]);
  });
});

it("takes its latency for each thing that a consumer asks for", () => {
  marbles().run(({ expectObservable }) => {
    const redis = fakeRedis({ latencyMs: 10 });
    redis.xadd(stream, "event", '{"id":"a"}');

    // It makes the group, looks what it had before, and reads.
    expectObservable(deliveries(redis).pipe(map(({ event }) => event.id)), "^ 99ms !").toBe("30ms a");
  });
});

it("sets aside what fails for good, and what cannot be decoded", () => {
  marbles().run(({ cold, expectObservable, flush }) => {
    const redis = fakeRedis({ latencyMs: 0 });
    for (const event of ['{"id":"a"}', "no JSON", '{"id":"b"}']) redis.xadd(stream, "event", event);
    const options = { until: cold("1s x"), deadLetters: { stream: "dead" }, maxDeliveries: 2 };
    const handler = ({ id }: Order) => {
      if (id === "a") throw new Error("never");
      return deadLetter("not wanted");
    };

    expectObservable(deliveries(redis, options).pipe(acknowledge(handler))).toBe("1s |");
    flush();

    const letters = redis.entries("dead").map(({ content }) => [content[1], content[3], content[5]]);
    expect(letters).toEqual([
      ["no JSON", "EntryNotDecodable", expect.stringContaining("JSON")],
      ['{"id":"b"}', "HandlerFailed", "not wanted"],
      ['{"id":"a"}', "HandlerFailed", "never"],
    ]);
    expect(redis.pending(stream, group)).toEqual([]);
  });
});

it("writes effects once, also where the answer to them is lost, and keeps them for the test to see", () => {
  marbles().run(({ cold, expectObservable, flush }) => {
    // It is settled after 18 ms; the answer, which would come 2 ms later, is lost.
    const redis = fakeRedis({ latencyMs: 4, replies: "19ms x 10ms o" });
    redis.xadd(stream, "event", '{"id":"a"}');
    const count = ({ id }: Order) => effects(["HINCRBY", "totals", id, 1]);
    const totals = deliveries(redis, { until: cold("1s x") }).pipe(
      deduplicate({ key: ({ id }) => id }),
      acknowledge(count),
      idOf,
      map((id) => `${id}`),
    );

    const seen: string[] = [];
    expectObservable(
      totals.pipe(
        tap((id) => seen.push(id)),
        map(() => "x"),
      ),
    ).toBe("34ms x 971ms |");
    flush();

    expect(seen).toEqual(["a"]);
    expect(redis.effects).toEqual([["HINCRBY", "totals", "a", 1]]);
  });
});

it("lets another consumer claim what one that was unsubscribed has left, after its time", () => {
  marbles().run(({ cold, expectObservable, flush }) => {
    const redis = fakeRedis({ latencyMs: 0 });
    redis.xadd(stream, "event", '{"id":"a"}');
    const ofFirst = deliveries(redis, { consumer: "first" }).pipe(map(({ event }) => event.id));
    const second = deliveries(redis, { consumer: "second", until: cold("2m x") });

    expectObservable(ofFirst, "^ 10ms !").toBe("a");
    expectObservable(
      second.pipe(
        acknowledge(() => undefined),
        idOf,
      ),
    ).toBe("1m a 59999ms |");
    flush();

    expect(redis.pending(stream, group)).toEqual([]);
  });
});

it("hands out again at once what was given back, to whoever looks next", () => {
  marbles().run(({ cold, expectObservable, flush }) => {
    const redis = fakeRedis({ latencyMs: 0 });
    redis.xadd(stream, "event", '{"id":"a"}');
    let times = 0;
    const handler = () => {
      times += 1;
      return times === 1 ? giveBack() : undefined;
    };

    const handled = deliveries(redis, { until: cold("1m x") }).pipe(acknowledge(handler), idOf);
    expectObservable(handled).toBe("30s a 29999ms |");
    flush();

    expect(redis.pending(stream, group)).toEqual([]);
  });
});

it("cuts reads that wait, and is found again", () => {
  marbles().run(({ hot, cold, expectObservable }) => {
    const redis = fakeRedis({ latencyMs: 0, replies: "10ms x 1s o" });
    const added$ = hot("500ms (a|)", { a }).pipe(tap(() => redis.xadd(stream, "event", '{"id":"a"}')));
    const states: string[] = [];
    const status = { next: ({ state }: { readonly state: string }) => states.push(state) };
    const handled = deliveries(redis, { until: cold("2s x"), status }).pipe(
      acknowledge(() => undefined),
      idOf,
    );

    expectObservable(merge(added$.pipe(map(() => "+")), handled)).toBe("500ms + 510ms a 988ms |");
    expectObservable(cold("2s x").pipe(tap(() => expect(states).toContain("retrying")))).toBe("2s x");
  });
});

it("fills batches, and removes what is settled", () => {
  marbles().run(({ cold, expectObservable, flush }) => {
    const redis = fakeRedis({ latencyMs: 0 });
    for (const { id } of [a, b, c]) redis.xadd(stream, "event", JSON.stringify({ id }));
    const batches: string[][] = [];
    const handled = deliveries(redis, { until: cold("1s x") }).pipe(
      acknowledgeBatch((orders) => void batches.push(orders.map(({ id }) => id)), {
        maxEvents: 2,
        remove: true,
      }),
      idOf,
    );

    expectObservable(handled).toBe("(abc) 995ms |");
    flush();

    expect(batches).toEqual([["a", "b"], ["c"]]);
    expect(redis.entries(stream)).toEqual([]);
  });
});

it("reads for everybody, from where that is asked for, and tells what was trimmed", () => {
  marbles().run(({ hot, cold, expectObservable, flush }) => {
    const redis = fakeRedis({ latencyMs: 0 });
    const sink = redisSink<Order>({
      ...{ id: "shop", connection: redis, stream },
      trim: { maxLen: 2, approximate: false },
    });
    const read = (from: string, status?: (state: object) => void) =>
      streamEntries<Order>({
        ...{ connection: redis, stream, from, until: cold("20ms x") },
        ...(status && { status: { next: status } }),
      }).pipe(map(({ event }) => event.id));
    const gaps: object[] = [];

    expectObservable(
      hot("-(abc)|", { a, b, c }).pipe(
        sink,
        map(() => "p"),
      ),
    ).toBe("-p----|");
    expectObservable(read("$")).toBe("-(bc) 15ms |");
    expectObservable(read("0-0"), "--- ^").toBe("---(bc) 16ms |");
    expectObservable(
      read("0-5", (state) => "missed" in state && gaps.push(state)),
      "----- ^",
    ).toBe("-----(bc) 16ms |");
    flush();

    expect(gaps).toEqual([{ state: "gap", stream, after: "0-5", before: "1-1", missed: undefined }]);
  });
});
