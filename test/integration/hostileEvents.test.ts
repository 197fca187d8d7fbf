import { from, lastValueFrom, Subject, toArray } from "rxjs";
import { describe, expect, it } from "vitest";
import { type Positions, redisSink, type SinkSettings, type SinkStatus } from "../../src/index.ts";
import { statusText } from "../../src/telemetry/statusText.ts";
import { failureOf } from "../kit/program/failureOf.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

/** Functions of the user's, and what they give, are what JavaScript allows, whatever their types say. */
type Hostile = SinkSettings<Record<string, unknown>, unknown>;

const redis = emptyRedis();

function sink(settings: object) {
  const hostile = { id: "x", stream: "orders", uri: redis.uri, ...settings } as Hostile & {
    readonly uri: string;
  };
  return redisSink(hostile);
}

function thrower(): never {
  throw new Error("boom");
}

/** The second of three. */
function among(event: object): Record<string, unknown>[] {
  return [
    { id: "a", position: 1 },
    { id: "b", position: 2, ...event },
    { id: "c", position: 3 },
  ];
}

async function published(): Promise<(string | undefined)[]> {
  const entries = await redis.client.xrange("orders", "-", "+");
  return entries.map(([, fields]) => JSON.parse(fields[1] ?? "").id);
}

const isB = ({ id }: Record<string, unknown>) => id === "b";
const notFor = (wrong: unknown, right: unknown) => (event: Record<string, unknown>) =>
  isB(event) ? wrong : right;

describe("an event of which a function of the user's gives what it should not", () => {
  const cases: readonly (readonly [what: string, settings: object, tag: string, message: string])[] = [
    [
      "encode gives nothing",
      { event: { encode: notFor(undefined, '{"id":"?"}') } },
      "EventNotEncodable",
      "found nothing",
    ],
    ["encode gives a number", { event: { encode: notFor(5, "{}") } }, "EventNotEncodable", "found a number"],
    [
      "encode gives a promise",
      { event: { encode: notFor(Promise.resolve(""), "{}") } },
      "EventNotEncodable",
      "found a promise",
    ],
    [
      "fields has nothing for a name",
      { event: { fields: notFor({ table: undefined }, {}) } },
      "EventNotEncodable",
      "table: found nothing",
    ],
    [
      "fields has a number",
      { event: { fields: notFor({ n: 1 }, {}) } },
      "EventNotEncodable",
      "n: found a number",
    ],
    ["fields gives nothing", { event: { fields: notFor(null, {}) } }, "EventNotEncodable", "found nothing"],
    [
      "content gives nothing",
      { event: { content: notFor(undefined, ["event", "{}"]) } },
      "EventNotEncodable",
      "found nothing",
    ],
    [
      "content has nothing for a value",
      { event: { content: notFor(["a", undefined], ["event", "{}"]) } },
      "EventNotEncodable",
      "2: found nothing",
    ],
    [
      "id throws",
      { event: { id: (event: Record<string, unknown>) => (isB(event) ? thrower() : event.id) } },
      "EventNotEncodable",
      "boom",
    ],
    ["id gives a number", { event: { id: notFor(7, "x") } }, "EventNotEncodable", "found a number"],
    ["stream gives a number", { stream: notFor(7, "orders") }, "StreamUnresolved", "found a number"],
    [
      "stream throws",
      { stream: (event: Record<string, unknown>) => (isB(event) ? thrower() : "orders") },
      "StreamUnresolved",
      "boom",
    ],
    ["key gives a bigint", { partitions: 1, key: notFor(7n, "k") }, "StreamUnresolved", "found a bigint"],
    [
      "what is thrown has no text",
      {
        event: {
          encode: (event: Record<string, unknown>) => {
            if (isB(event)) throw Object.create(null);
            return "{}";
          },
        },
      },
      "EventNotEncodable",
      "something that has no text",
    ],
  ];

  it.each(cases)(
    "is an error that names it, after what came before: %s",
    async (_what, settings, tag, message) => {
      const error = await failureOf(from(among({})).pipe(sink(settings)));

      expect(error).toMatchObject({ _tag: tag, message: expect.stringContaining("event b: ") });
      expect(error.message).toContain(message);
      expect(
        (await redis.client.hget("{orders}:rxadd:x", "position")) ??
          (await redis.client.hget("rxadd:x", "position")),
      ).toBe("1");
    },
  );

  it.each(cases)("is set aside where there are dead letters: %s", async (_what, settings, tag) => {
    const deadLetters = { stream: "dead" };

    const checkpoints = await lastValueFrom(
      from(among({})).pipe(sink({ ...settings, deadLetters }), toArray()),
    );

    expect(checkpoints.at(-1)?.position).toBe(3);
    const letters = await redis.client.xrange("dead", "-", "+");
    expect(letters).toHaveLength(1);
    expect(letters[0]?.[1]).toContain(tag);
  });

  it.each([
    [
      "a getter",
      {
        get note() {
          return thrower();
        },
      },
    ],
    ["toJSON", { toJSON: thrower }],
    [
      "the name of its type",
      {
        note: 1n,
        get [Symbol.toStringTag]() {
          return thrower();
        },
        toJSON: thrower,
      },
    ],
  ])("is set aside when it throws itself: %s", async (_what, event) => {
    const events = [
      { id: "a", position: 1 },
      Object.defineProperties({ id: "b", position: 2 }, Object.getOwnPropertyDescriptors(event)),
      { id: "c", position: 3 },
    ];

    await lastValueFrom(from(events).pipe(sink({ deadLetters: { stream: "dead" } })));

    expect(await published()).toEqual(["a", "c"]);
    expect(await redis.client.xlen("dead")).toBe(1);
  });

  it.each([
    ["throws", (event: Record<string, unknown>) => (isB(event) ? thrower() : 1)],
    ["gives text", () => "yesterday"],
    ["gives NaN", () => Number.NaN],
  ])("is published when its time %s, which then is not told", async (_what, time) => {
    const times: unknown[] = [];
    const metrics = {
      published: () => {},
      buffered: () => {},
      status: () => {},
      checkpoint: (_: unknown, ms: unknown) => times.push(ms),
    };

    await lastValueFrom(
      from(among({}).slice(1)).pipe(sink({ event: { time }, metrics, batch: { maxEvents: 1 } })),
    );

    expect(await published()).toEqual(["b", "c"]);
    expect(times[0]).toBeUndefined();
  });

  it("may be bytes of any kind", async () => {
    const bytes = new Uint8Array([0, 123, 255, 13, 10]);
    const event = { encode: () => bytes.subarray(1), fields: () => ({ more: bytes }) };

    for (const publish of ["script", "multi"]) {
      await lastValueFrom(from([{ id: publish }]).pipe(sink({ id: publish, event, publish })));
    }

    for (const [, fields] of await redis.client.xrangeBuffer("orders", "-", "+")) {
      expect(fields.slice(1)).toEqual([
        Buffer.from(bytes.subarray(1)),
        Buffer.from("more"),
        Buffer.from(bytes),
      ]);
    }
    expect(await redis.client.xlen("orders")).toBe(2);
  });
});

describe("what is handed over", () => {
  it("may be bytes that the program writes the next event to", async () => {
    const bytes = Buffer.alloc(6);
    const event = {
      encode: ({ n }: Record<string, unknown>) => bytes.fill(`event${n}`),
      fields: ({ n }: Record<string, unknown>) => ({ more: bytes.fill(`field${n}`).subarray(0, 6) }),
      content: undefined,
    };

    await lastValueFrom(from([{ n: 1 }, { n: 2 }]).pipe(sink({ event })));

    expect((await redis.client.xrange("orders", "-", "+")).map(([, fields]) => fields)).toEqual([
      ["event", "event1", "more", "field1"],
      ["event", "event2", "more", "field2"],
    ]);
  });

  it("may be a transaction that changes afterwards, or that can be asked once only", async () => {
    const transaction = { id: "t1", last: false };
    let asked = 0;
    const once = {
      get id() {
        asked += 1;
        return asked > 1 ? thrower() : "t3";
      },
    };
    const event = {
      encode: ({ id }: Record<string, unknown>) => `{"id":"${id}"}`,
      transaction: ({ transaction }: Record<string, unknown>) => transaction,
    };
    const events = new Subject<Record<string, unknown>>();
    const checkpoints = lastValueFrom(events.pipe(sink({ event })));

    events.next({ id: "a", position: 1, transaction });
    Object.assign(transaction, { last: true });
    events.next({ id: "b", position: 1, transaction });
    Object.assign(transaction, { id: "t2", last: false });
    events.next({ id: "c", position: 2, transaction });
    events.next({ id: "d", position: 3, transaction: once });
    events.complete();

    expect(await checkpoints).toMatchObject({ position: 2 });
    expect(await published()).toEqual(["a", "b", "c", "d"]);
  });

  it("is named by the id that the program tells, and without one by its position", async () => {
    const settings = (id: string | undefined) => ({ stream: "cdc.${table}", event: { id: () => id } });

    const named = await failureOf(from([{ position: 7 }]).pipe(sink(settings("line 7"))));
    const placed = await failureOf(from([{ position: 7 }]).pipe(sink(settings(undefined))));

    expect(named.message).toContain("event line 7: stream failed");
    expect(placed.message).toContain("event at position 7: stream failed");
  });
});

describe("an event whose place is not known", () => {
  it.each([
    ["an object", { position: { file: 1 } }, "found an object"],
    ["true", { position: true }, "found a boolean"],
    ["a list", { position: [1] }, "found a list"],
    ["NaN", { position: Number.NaN }, "found NaN"],
    ["Infinity", { position: Number.POSITIVE_INFINITY }, "found Infinity"],
  ])(
    "is refused by name, also with dead letters, and is not behind a checkpoint: %s",
    async (_what, event, found) => {
      const error = await failureOf(from(among(event)).pipe(sink({ deadLetters: { stream: "dead" } })));

      expect(error._tag).toBe("PositionInvalid");
      expect(error.message).toContain("event b: ");
      expect(error.message).toContain(found);
      expect(await published()).toEqual(["a"]);
      expect(await redis.client.hget("{orders}:rxadd:x", "position")).toBe("1");
    },
  );

  it.each([
    [
      "position throws",
      { position: (event: Record<string, unknown>) => (isB(event) ? thrower() : 1) },
      "position failed: boom",
    ],
    [
      "transaction throws",
      { transaction: (event: Record<string, unknown>) => (isB(event) && thrower()) || undefined },
      "transaction failed: boom",
    ],
    ["transaction gives text", { transaction: notFor("t", undefined) }, "found text"],
    ["transaction has no id", { transaction: notFor({}, undefined) }, "found nothing as its id"],
    ["last is text", { transaction: notFor({ id: "t", last: "no" }, undefined) }, "found text as last"],
  ])("is refused when %s", async (_what, event, message) => {
    const error = await failureOf(from(among({})).pipe(sink({ event, deadLetters: { stream: "dead" } })));

    expect(error._tag).toBe("PositionInvalid");
    expect(error.message).toContain("event b: ");
    expect(error.message).toContain(message);
  });
});

describe("an event that throws whatever it is asked", () => {
  const hostile = new Proxy({}, { has: thrower, get: thrower, ownKeys: thrower, getPrototypeOf: thrower });
  // Nothing of it says where it stands, so it is told from the others by where it came.
  const position = (event: unknown) => (event === hostile ? 2 : 1);
  const transaction = () => undefined;

  it("is refused by its number, after what came before", async () => {
    const events = [{ id: "a", position: 1 }, hostile];

    const error = await failureOf(from(events).pipe(sink({ deadLetters: { stream: "dead" } })));

    expect(error).toMatchObject({ _tag: "PositionInvalid", message: expect.stringContaining("event 1: ") });
    expect(await published()).toEqual(["a"]);
  });

  it("is set aside where its place is known", async () => {
    const events = [{ id: "a", position: 1 }, hostile];
    const settings = { event: { position, transaction }, deadLetters: { stream: "dead" } };

    await lastValueFrom(from(events).pipe(sink(settings)));

    expect(await published()).toEqual(["a"]);
    expect(await redis.client.xlen("dead")).toBe(1);
  });
});

describe("null", () => {
  it("is nothing, as undefined is: as position, transaction, id and mark of the last", async () => {
    const event = {
      id: () => null,
      transaction: ({ n }: Record<string, unknown>) => (n === 1 ? null : { id: "t", last: null }),
      time: () => null,
    };

    const checkpoints = await lastValueFrom(
      from([1, 2, 3].map((n) => ({ id: `${n}`, n, position: null }))).pipe(sink({ event }), toArray()),
    );

    expect(checkpoints.at(-1)?.position).toBeUndefined();
    expect(await published()).toEqual(["1", "2", "3"]);
  });
});

describe("positions of the user's own", () => {
  const identity: Positions<unknown> = {
    encode: (position) => String(position),
    decode: (text) => text,
  };

  it("are published, and gone on after, when they read back", async () => {
    await lastValueFrom(from([{ id: "a", position: "p1" }]).pipe(sink({ positions: identity })));

    const froms: unknown[] = [];
    await lastValueFrom(
      sink({ positions: identity }).resuming((at) => {
        froms.push(at);
        return from([{ id: "b", position: "p2" }]);
      }),
    );

    expect(froms).toEqual(["p1"]);
  });

  it("are shown in words, of whatever type they are", async () => {
    const offset = (value: number) => Object.assign(Object.create(null), { value });
    const positions = {
      encode: ({ value }: { value: number }) => `${value}`,
      decode: (text: string) => offset(Number(text)),
      compare: (a: { value: number }, b: { value: number }) => a.value - b.value,
    };
    const told: string[] = [];
    const status = { next: (now: SinkStatus) => told.push(statusText(now)) };
    const at = (...values: readonly number[]) => from(values.map((value) => ({ position: offset(value) })));

    await lastValueFrom(at(2, 1, 3).pipe(sink({ positions, status })));
    const clash = await failureOf(at(4, 4).pipe(sink({ positions, status })));

    expect(told.join()).toContain('stands at position {"value":1}');
    expect(told.join()).toContain('publishing after position {"value":3}');
    expect(clash.message).toContain('found the same position {"value":4} on both');
  });

  it.each([
    ["encode gives an empty text", { ...identity, encode: () => "" }, "encode gave an empty text"],
    ["encode gives nothing", { ...identity, encode: () => undefined }, "encode gave nothing"],
    ["encode throws", { ...identity, encode: thrower }, "encode failed: boom"],
    [
      "decode reads nothing back",
      { ...identity, decode: () => undefined },
      "does not make the same position",
    ],
    ["decode reads another one", { ...identity, decode: () => "other" }, "does not make the same position"],
    ["decode gives null", { ...identity, decode: () => null }, "does not make the same position"],
    ["decode throws", { ...identity, decode: thrower }, "decode failed: boom"],
    ["the order finds another one", { ...identity, compare: () => 1 }, "does not make the same position"],
    ["compare throws", { ...identity, compare: thrower }, "compare failed: boom"],
    ["compare gives no number", { ...identity, compare: () => Number.NaN }, "compare gave NaN"],
  ])("are refused at the first event when %s", async (_what, positions, message) => {
    const error = await failureOf(from([{ id: "a", position: "p1" }]).pipe(sink({ positions })));

    expect(error).toMatchObject({ _tag: "PositionInvalid", message: expect.stringContaining("event a: ") });
    expect(error.message).toContain(message);
    expect(await redis.client.exists("orders")).toBe(0);
  });

  it("are refused with a later batch whose last position does not read back", async () => {
    const positions = { ...identity, decode: (text: string) => (text === "p2" ? undefined : text) };
    const events = ["p1", "p2"].map((position) => ({ id: position, position }));

    const error = await failureOf(from(events).pipe(sink({ positions, batch: { maxEvents: 1 } })));

    expect(error._tag).toBe("PositionInvalid");
    expect(await redis.client.hget("{orders}:rxadd:x", "position")).toBe("p1");
    expect(await published()).toEqual(["p1"]);
  });
});
