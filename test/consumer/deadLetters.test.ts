import * as t from "io-ts";
import { firstValueFrom, lastValueFrom, map, Subject, toArray } from "rxjs";
import { describe, expect, it } from "vitest";
import { acknowledge, type GroupOptions, groupDeliveries, streamEntries } from "../../src/consumer.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

const stream = "orders.events";
const dead = "orders.dead";
const group = "mailer";

const redis = emptyRedis();

type Words = readonly (string | Buffer)[];

async function add(...words: Words): Promise<string> {
  return (await redis.client.xadd(stream, "*", ...words)) ?? "";
}

/** Consumes until so many entries are dead letters; gives what was handled, and why the others were not. */
async function consumed(count: number, settings: Partial<GroupOptions<unknown>> = {}) {
  const until = new Subject<void>();
  const reasons: string[] = [];
  const handled = await lastValueFrom(
    groupDeliveries({
      uri: redis.uri,
      stream,
      group,
      consumer: "one",
      blockMs: 200,
      deadLetters: { stream: dead },
      until,
      status: {
        next: (status) => {
          if (status.state !== "deadLetter") return;
          reasons.push(status.reason);
          if (reasons.length === count) until.next();
        },
      },
      ...settings,
    }).pipe(
      acknowledge(() => undefined),
      map(({ delivery }) => delivery.event),
      toArray(),
    ),
  );
  return { handled, reasons };
}

/** The names and values of the only dead letter. */
async function letter(): Promise<readonly Buffer[]> {
  const letters = await redis.client.xrangeBuffer(dead, "-", "+");
  expect(letters).toHaveLength(1);
  return letters[0]?.[1] ?? [];
}

const bytes = (words: Words) => words.map((word) => Buffer.from(word));

describe("a dead letter", () => {
  it.each<[string, Words]>([
    ["bytes that are no text", ["event", Buffer.from("fffe0080c328", "hex")]],
    ["names that are no text", [Buffer.from([255]), "1", "event", "{"]],
    ["a name that repeats", ["a", "1", "a", "2", "event", "no JSON", "a", "3"]],
    ["names that look like numbers", ["b", "1", "2", "x", "1", "y", "event", "no JSON"]],
    ["a name that objects have", ["__proto__", "p", "constructor", "c", "event", "no JSON"]],
    [
      "names of what says why it is one",
      ["error", "E", "reason", "R", "stream", "S", "group", "G", "event", "x"],
    ],
  ])("holds %s byte for byte, and then why it is one", async (_name, words) => {
    const entryId = await add(...words);

    const { reasons } = await consumed(1);

    expect(reasons).toEqual([expect.stringMatching(/^event: found no JSON/)]);
    expect(await letter()).toEqual(
      bytes([
        ...[...words, "error", "EntryNotDecodable", "reason", reasons[0] ?? "", "stream", stream],
        ...["entry", entryId, "group", group, "consumer", "one", "deliveries", "1"],
      ]),
    );
  });

  it("holds an entry of more fields than a script can write as a list of them", async () => {
    const words = ["event", "no JSON", ...Array.from({ length: 8200 }, (_, index) => `${index}`)];
    await add(...words);
    await add("event", "5");

    const { handled } = await consumed(1);

    const [name, list, ...why] = await letter();
    expect(name).toEqual(Buffer.from("content"));
    const [head, ...rest] = list?.toString().split("\r\n") ?? [];
    expect(head).toBe("*8202");
    expect(rest.filter((_, index) => index % 2 === 1)).toEqual(words);
    expect(why.map(String)).toContain("EntryNotDecodable");
    // What came with it, if it did, was handled.
    expect([[], [5]]).toContainEqual(handled);
  });

  it("does not show what a codec refused, nor what is no JSON", async () => {
    await add("event", '{"id":{"card":"4111111111111111"}}');
    await add("event", "4111111111111111x");

    const { reasons } = await consumed(2, { codec: t.type({ id: t.string }) });

    expect(reasons).toEqual([
      "id: found an object, expected string",
      expect.stringMatching(/^event: found no JSON( at position 16)?$/),
    ]);
    const letters = await redis.client.xrange(dead, "-", "+");
    expect(letters.map(([, fields]) => fields[fields.indexOf("reason") + 1])).toEqual(reasons);
  });
});

describe("what an entry holds", () => {
  const avro = Buffer.from([0x02, 0xff, 0x00, 0x7f]);

  it("is read by a function of the user's where it is no JSON", async () => {
    await add("schema", "Order/1", "event", avro);
    await add("schema", "Order/2", "event", avro);

    const { handled, reasons } = await consumed(1, {
      decode: (event, [, schema]) => {
        if (schema?.toString() !== "Order/1") throw new Error("no such schema");
        return [...event];
      },
    });

    expect(handled).toEqual([[0x02, 0xff, 0x00, 0x7f]]);
    expect(reasons).toEqual(["decode: no such schema"]);
  });

  it("is read from another field, or from all of them", async () => {
    await add("event", "OrderPlaced", "data", '{"id":1}');

    const from = { uri: redis.uri, stream, from: "0-0" };
    const data = await firstValueFrom(streamEntries({ ...from, field: "data" }));
    const all = await firstValueFrom(
      streamEntries({ ...from, decodeFields: ({ event }, { data }) => [event, data?.length] }),
    );

    expect(data.event).toEqual({ id: 1 });
    expect(all.event).toEqual(["OrderPlaced", 8]);
  });

  it("is the same in its dead letter, whatever a function of the user's has done to it", async () => {
    await add("event", avro, "b", avro);

    const spoil = (event: Buffer, content: readonly Buffer[]) => {
      for (const word of [event, ...content]) word.fill(0);
      throw new Error("spoilt");
    };
    await consumed(1, { decode: spoil });

    expect((await letter()).slice(0, 4)).toEqual(bytes(["event", avro, "b", avro]));
  });

  it("comes with an entry that is read without a group, byte for byte", async () => {
    await add("avro", avro, "avro", "é");

    const entry = await firstValueFrom(streamEntries({ uri: redis.uri, stream, from: "0-0" }));

    expect(entry.content).toEqual(["avro", avro, "avro", "é"]);
    expect(entry.event).toEqual({ avro: "é" });
  });
});

describe("the stream of dead letters", () => {
  it.each<[string | readonly string[]]>([[dead], [[stream, dead]]])("cannot be read itself: %o", (read) => {
    expect(() =>
      groupDeliveries({ uri: "redis://h", stream: read, group, deadLetters: { stream: dead } }),
    ).toThrow(
      /^groupDeliveries: deadLetters\.stream: found orders\.dead, which is read itself, expected another stream$/,
    );
  });
});
