import { CloudEvent } from "cloudevents";
import fc from "fast-check";
import { from, lastValueFrom } from "rxjs";
import { describe, expect, it } from "vitest";
import {
  type ChangeEvent,
  type Envelope,
  encoderOf,
  type Row,
  redisSink,
  type SinkOptions,
} from "../../../src/index.ts";
import { readEvents } from "../../kit/load/tally.ts";
import { emptyRedis } from "../../kit/servers/emptyRedis.ts";

const created: ChangeEvent<Row, number> & { readonly key: string } = {
  id: "16/B374D848:1",
  op: "c",
  ts_ms: 1_700_000_000_123,
  source: { connector: "postgresql", db: "shop", schema: "public", table: "orders & co" },
  before: null,
  after: { id: 7, item: "tea" },
  transaction: { id: "742" },
  key: "7",
  position: 1,
};
const deleted: ChangeEvent<Row, number> = {
  id: "16/B374D900:1",
  op: "d",
  ts_ms: 1_700_000_001_000,
  source: {},
  before: { id: 7 },
  after: null,
  position: 2,
};

function encoded(envelope: Envelope, event: unknown): unknown {
  return JSON.parse(encoderOf(envelope)(event));
}

describe("encoderOf", () => {
  it("leaves an event as it is: native", () => {
    expect(encoded("native", created)).toEqual(created);
  });

  it("puts the change into a payload, without what is ours: debezium", () => {
    const { before, after, source, op, ts_ms, transaction } = created;

    expect(encoded("debezium", created)).toEqual({
      payload: { before, after, source, op, ts_ms, transaction },
    });
  });

  it("gives the row alone, and null after a delete: raw", () => {
    expect(encoded("raw", created)).toEqual({ id: 7, item: "tea" });
    expect(encoded("raw", deleted)).toBeNull();
  });

  it("makes a CloudEvent: who, where, what, when, and the change as its data", () => {
    expect(encoded("cloudevents", created)).toEqual({
      specversion: "1.0",
      id: "16/B374D848:1",
      source: "/postgresql/shop/public/orders%20%26%20co",
      type: "rxadd.change.created",
      subject: "7",
      time: "2023-11-14T22:13:20.123Z",
      datacontenttype: "application/json",
      data: expect.objectContaining({ op: "c", before: null, after: { id: 7, item: "tea" } }),
    });
  });

  it("makes CloudEvents that the specification's own schema accepts, whatever the change", () => {
    const change = fc.record({
      id: fc.string({ minLength: 1 }),
      op: fc.constantFrom("c", "u", "d", "r", "t", "m"),
      ts_ms: fc.option(fc.integer({ min: 0, max: 4_102_444_800_000 })),
      source: fc.record(
        { connector: fc.string(), db: fc.string(), table: fc.string() },
        { requiredKeys: [] },
      ),
      before: fc.option(fc.dictionary(fc.string(), fc.jsonValue())),
      after: fc.option(fc.dictionary(fc.string(), fc.jsonValue())),
      key: fc.option(fc.string(), { nil: undefined }),
    });

    fc.assert(
      fc.property(change, (event) => {
        // Strict: it throws with what the schema says.
        new CloudEvent(JSON.parse(encoderOf("cloudevents")(event)));
      }),
    );
  });

  it.each(["debezium", "cloudevents", "raw"] as const)("refuses what is no change: %s", (envelope) => {
    expect(() => encoderOf(envelope)({ id: "1", op: "x" })).toThrow(
      /found op "x", expected one of c, u, d, r, t, m/,
    );
  });

  it("refuses a CloudEvent without an id", () => {
    expect(() => encoderOf("cloudevents")({ ...created, id: "" })).toThrow(/found no id/);
  });
});

describe("a sink", () => {
  const stream = "orders.events";
  const redis = emptyRedis();

  function publish(
    events: readonly ChangeEvent<Row, number>[],
    settings: Partial<SinkOptions<ChangeEvent<Row, number>, number>>,
  ) {
    const sink = redisSink<ChangeEvent<Row, number>, number>({
      id: "s",
      uri: redis.uri,
      stream,
      ...settings,
    });
    return lastValueFrom(from(events).pipe(sink));
  }

  it.each(["native", "debezium", "cloudevents", "raw"] as const)(
    "publishes the envelope: %s",
    async (envelope) => {
      await publish([created, deleted], { envelope });

      const texts = await readEvents(redis.client, stream);
      expect(texts).toEqual([created, deleted].map(encoderOf(envelope)));
    },
  );

  it("adds fields from templates", async () => {
    await publish([created], { fields: { id: "${id}", key: "${key}", kind: "order" } });

    const [[, fields] = []] = await redis.client.xrange(stream, "-", "+");
    expect(fields?.slice(2)).toEqual(["id", "16/B374D848:1", "key", "7", "kind", "order"]);
  });

  it("names the event that a template does not fit", async () => {
    await expect(publish([deleted], { fields: { key: "${key}" } })).rejects.toMatchObject({
      _tag: "EventNotEncodable",
      message: expect.stringMatching(/event 16\/B374D900:1: fields failed: \$\{key\}: found nothing at key/),
    });
  });

  it("names the event that its envelope does not fit, or sets it aside", async () => {
    const strange = { ...created, op: "x" as "c" };
    await expect(publish([strange], { envelope: "debezium" })).rejects.toThrow(
      /event 16\/B374D848:1: encode failed: found op "x"/,
    );

    await publish([strange, deleted], { envelope: "debezium", deadLetters: { stream: "dead" } });
    expect(await redis.client.xlen("dead")).toBe(1);
    expect(await redis.client.xlen(stream)).toBe(1);
  });

  it("refuses an envelope that there is not", () => {
    expect(() => redisSink({ id: "s", uri: redis.uri, stream, envelope: "xml" as "raw" })).toThrow(
      /envelope: found xml, expected native or debezium or cloudevents or raw/,
    );
  });
});
