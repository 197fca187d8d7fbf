import { concat, EMPTY, from, lastValueFrom, map, type Observable, range, throwError, toArray } from "rxjs";
import { describe, expect, it } from "vitest";
import { type RxaddError, redisSink, type SinkOptions, type SinkStatus } from "../../src/index.ts";
import { readEvents } from "../kit/load/tally.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

interface Order {
  readonly id: string;
  readonly position: number;
  readonly source?: { readonly table: string };
  readonly note?: unknown;
}

const stream = "orders.events";
const dead = "orders.dead";
const circular: { self?: unknown } = {};
circular.self = circular;

const redis = emptyRedis();

function order(position: number, more: Partial<Order> = {}): Order {
  return { id: `orders/${position}`, position, source: { table: "orders" }, ...more };
}

function sink(settings: Partial<SinkOptions<Order, number>> = {}) {
  return redisSink<Order, number>({
    id: "orders-redis",
    uri: redis.uri,
    stream,
    deadLetters: { stream: dead },
    maxEventBytes: 1000,
    ...settings,
  });
}

/** The fields of each dead letter. */
async function deadLetters(): Promise<Record<string, string>[]> {
  const entries = await redis.client.xrange(dead, "-", "+");
  return entries.map(([, fields]) => {
    const pairs = fields.flatMap((field, index) =>
      index % 2 === 0 ? [[field, fields[index + 1] ?? ""]] : [],
    );
    return Object.fromEntries(pairs);
  });
}

async function positionsIn(key: string): Promise<number[]> {
  return (await readEvents(redis.client, key)).map((event) => JSON.parse(event).position);
}

describe.each(["script", "multi"] as const)("deadLetters with publish: %s", (publish) => {
  it("sets an event aside that cannot be encoded, with reason, original and position", async () => {
    const events = [order(1), order(2, { note: circular }), order(3)];

    const checkpoint = await lastValueFrom(from(events).pipe(sink({ publish })));

    expect(checkpoint.position).toBe(3);
    expect(await positionsIn(stream)).toEqual([1, 3]);
    expect(await deadLetters()).toEqual([
      {
        event: expect.stringContaining("[Circular"),
        error: "EventNotEncodable",
        reason: expect.stringContaining("event orders/2: encode failed: Converting circular structure"),
        sink: "orders-redis",
        stream,
        position: "2",
        bytes: expect.stringMatching(/^\d+$/),
      },
    ]);
  });

  it("sets an event aside that is too large, with as much of it as may be", async () => {
    const events = [order(1, { note: "x".repeat(5000) }), order(2)];

    await lastValueFrom(from(events).pipe(sink({ publish })));

    const [letter] = await deadLetters();
    expect(letter).toMatchObject({ error: "EventTooLarge", position: "1" });
    expect(letter?.event).toHaveLength(1000);
    expect(Number(letter?.bytes)).toBeGreaterThan(5000);
    expect(await positionsIn(stream)).toEqual([2]);
  });

  it("stores batch, dead letter and position in one step, which a second run repeats none of", async () => {
    const events = [order(1), order(2, { note: circular }), order(3)];
    await lastValueFrom(from(events).pipe(sink({ publish })));
    expect(await redis.client.hgetall(`{${stream}}:rxadd:orders-redis`)).toMatchObject({
      sequence: "1",
      position: "3",
    });

    const again = await lastValueFrom(from([...events, order(4)]).pipe(sink({ publish })));

    expect(again.position).toBe(4);
    expect(await positionsIn(stream)).toEqual([1, 3, 4]);
    expect(await deadLetters()).toHaveLength(1);
  });

  it("emits a checkpoint for a batch of nothing but dead letters", async () => {
    const checkpoint = await lastValueFrom(from([order(1, { note: circular })]).pipe(sink({ publish })));

    expect(checkpoint).toMatchObject({ position: 1, entryId: "" });
    expect(await redis.client.exists(stream)).toBe(0);
  });

  it("writes nothing when the dead letters' key holds something else", async () => {
    await redis.client.set(dead, "text");

    const failure = lastValueFrom(from([order(1), order(2, { note: circular })]).pipe(sink({ publish })));

    await expect(failure).rejects.toMatchObject({ _tag: "WrongType" });
    expect(await redis.client.exists(stream)).toBe(0);
  });
});

describe("deadLetters", () => {
  it("sets an event aside whose stream template cannot be resolved", async () => {
    const { source: _, ...nowhere } = order(2);
    const events = [order(1), nowhere, order(3)];
    const template = sink({ stream: "cdc.${source.table}" });

    const checkpoint = await lastValueFrom(from(events).pipe(template));
    await lastValueFrom(from(events).pipe(template));

    expect(checkpoint.position).toBe(3);
    expect(await positionsIn("cdc.orders")).toEqual([1, 3]);
    const letters = await deadLetters();
    expect(letters).toHaveLength(1);
    expect(letters[0]).toMatchObject({ error: "StreamUnresolved", stream: "", position: "2" });
    expect(JSON.parse(letters[0]?.event ?? "")).toEqual(nowhere);
  });

  it("sets an event aside for which the stream function gives no key", async () => {
    await lastValueFrom(from([order(1)]).pipe(sink({ stream: () => "" })));

    expect(await deadLetters()).toMatchObject([{ error: "StreamUnresolved" }]);
  });

  it("sets an event aside that has more fields than a script can hold, before anything is written", async () => {
    const many = Object.fromEntries(Array.from({ length: 8000 }, (_, n) => [`f${n}`, "x"]));
    const fields = ({ position }: Order) => (position === 2 ? many : { a: "b" });

    await lastValueFrom(
      from([order(1), order(2), order(3)]).pipe(sink({ event: { fields }, maxEventBytes: 1_000_000 })),
    );

    expect(await positionsIn(stream)).toEqual([1, 3]);
    expect(await deadLetters()).toMatchObject([{ error: "EventNotEncodable" }]);
  });

  it("tells the status of each", async () => {
    const statuses: SinkStatus[] = [];

    await lastValueFrom(
      from([order(1), order(2, { note: circular })]).pipe(
        sink({ status: { next: (status) => statuses.push(status) } }),
      ),
    );

    expect(statuses).toContainEqual({
      state: "deadLetter",
      id: "orders/2",
      position: 2,
      cause: expect.objectContaining({ _tag: "EventNotEncodable" }),
    });
  });

  it("sets thousands aside among as many good ones, all in order", async () => {
    const events$ = range(1, 6000).pipe(map((n) => order(n, n % 2 === 0 ? { note: circular } : {})));

    await lastValueFrom(events$.pipe(sink()));

    const expected = (rest: number) => Array.from({ length: 3000 }, (_, n) => 2 * n + rest);
    expect(await positionsIn(stream)).toEqual(expected(1));
    expect((await deadLetters()).map(({ position }) => Number(position))).toEqual(expected(2));
  });
});

describe("without deadLetters", () => {
  /** What the sink does with events of which one is poison: its checkpoints, and its error. */
  async function outcome(events$: Observable<Order>, settings: Partial<SinkOptions<Order, number>> = {}) {
    const errors: RxaddError[] = [];
    const checkpoints = await lastValueFrom(
      concat(
        new Promise<number[]>((resolve) => {
          const positions: number[] = [];
          events$.pipe(sink({ deadLetters: undefined, ...settings })).subscribe({
            next: ({ position }) => positions.push(position ?? 0),
            error: (error: RxaddError) => {
              errors.push(error);
              resolve(positions);
            },
            complete: () => resolve(positions),
          });
        }),
        EMPTY,
      ).pipe(toArray()),
    );
    return { last: checkpoints.flat().at(-1), error: errors[0] };
  }

  it.each([
    ["EventNotEncodable", "event orders/3: encode failed", order(3, { note: circular }), {}],
    ["EventTooLarge", "event orders/3: found 5", order(3, { note: "x".repeat(5000) }), {}],
    [
      "StreamUnresolved",
      "stream failed: cdc.",
      { id: "orders/3", position: 3 },
      { stream: "cdc.${source.table}" },
    ],
  ])("ends with %s, after what came before is published", async (tag, text, poison, settings) => {
    const { last, error } = await outcome(from([order(1), order(2), poison, order(4)]), settings);

    expect(error).toMatchObject({ _tag: tag, kind: "permanent" });
    expect(error?.message).toContain(text);
    expect(last).toBe(2);
  });

  it("leaves an error of the source what it is", async () => {
    const { last, error } = await outcome(
      concat(
        from([order(1)]),
        throwError(() => new Error("disk")),
      ),
    );

    expect(last).toBe(1);
    expect(error?.message).toBe("disk");
  });
});
