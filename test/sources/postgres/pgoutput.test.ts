import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ChangeEvent, Lsn, Row } from "../../../src/index.ts";
import { wordsIn } from "../../../src/redis/wire/bulk.ts";
import { encoder } from "../../../src/sink/encode/encoder.ts";
import { type LogMessage, PgoutputDecoder } from "../../../src/sources/postgres/pgoutput.ts";
import { ServerMessages } from "../../../src/sources/postgres/serverMessages.ts";
import { recordedCorpus } from "./corpus.ts";
import { framed, message, type Sent, type TableShape } from "./encodePgoutput.ts";
import { referenceEvents } from "./reference/referenceEvents.ts";

const db = "shop";

/** As a sink writes events. */
const { publish } = encoder<ChangeEvent<Row, Lsn>, Lsn>(
  { id: "shop", stream: "orders" },
  {
    ...{ maxEventBytes: 1_000_000, envelope: "native" },
    ...{ deadLetters: undefined, partitions: undefined, fields: undefined },
  },
);

const orders: TableShape = {
  oid: 1,
  schema: "public",
  name: "orders",
  identity: "d",
  columns: [{ name: "id", isKey: true, typeOid: 23 }],
};

function decoded(messages: readonly Buffer[], of = db): readonly ChangeEvent<Row, Lsn>[] {
  const events: ChangeEvent<Row, Lsn>[] = [];
  const decoder = new PgoutputDecoder(of, { change: (event) => events.push(event) });
  for (const each of messages) decoder.decode(each, 0, each.length);
  return events;
}

/** A text that a message can hold; a byte order mark at its start is what the reference drops. */
const content = fc.oneof(fc.string({ unit: "binary" }), fc.string()).map((text) => text.replaceAll("\0", ""));
const words = content.filter((text) => !text.startsWith("\ufeff"));
const bytes = fc.uint8Array({ maxLength: 12 }).filter(([first]) => first !== 0xef);

const digits = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
const integers = fc.oneof(
  digits,
  fc.integer().map(String),
  fc.constantFrom("0", "9007199254740991", "-9007199254740992"),
);
const two = (max: number) => fc.nat(max).map((value) => `${value}`.padStart(2, "0"));
const moments = fc
  .tuple(fc.integer({ min: 1, max: 99_999 }), two(12), two(31), two(23), two(59), fc.nat(999_999), fc.nat(7))
  .map(([year, month, day, hour, minute, micro, form]) => {
    const fraction = form & 1 ? `.${micro}` : "";
    const moment = `${`${year}`.padStart(4, "0")}-${month}-${day} ${hour}:${minute}:00${fraction}`;
    return `${moment}${form & 2 ? "+00" : ""}${form & 4 ? " BC" : ""}`;
  });
const documents = fc.oneof(fc.json(), fc.constantFrom("1e400", '{"a": [-1e999, "1e400"]}', " null "));
const floats = fc.oneof(
  fc.double().map(String),
  fc.constantFrom("NaN", "Infinity", "-Infinity", "-0", "1e+20"),
);
const quoted = (text: string) => `"${text.replace(/["\\]/g, "\\$&")}"`;
const arrays = (elements: fc.Arbitrary<string>) =>
  fc
    .array(
      fc.oneof(
        elements.map(quoted),
        fc.constant("NULL"),
        elements.map((text) => `{${quoted(text)}}`),
      ),
    )
    .map((list) => `{${list.join(",")}}`);

/** OIDs of a type and of its array, and texts of its values. */
const kinds: readonly (readonly [types: readonly number[], values: fc.Arbitrary<string>])[] = [
  [[16], fc.constantFrom("t", "f")],
  [[1000], arrays(fc.constantFrom("t", "f"))],
  [[20, 21, 23, 26], integers],
  [[1016, 1005, 1007, 1028], arrays(integers)],
  [[114, 3802], documents],
  [[199, 3807], arrays(documents)],
  [[700, 701], floats],
  [[1021, 1022], arrays(floats)],
  [[1114, 1184], fc.oneof(moments, fc.constantFrom("infinity", "-infinity"))],
  [[1115, 1185], arrays(moments)],
  [[17, 19, 25, 1042, 1043, 1082, 1083, 1186, 1266, 1700, 2950, 869, 650, 790, 16_390, 4_000_000_000], words],
  [[1001, 1003, 1009, 1014, 1015, 1182, 1183, 1187, 1270, 1231, 2951, 1041, 651], arrays(words)],
];

interface KnownColumn {
  readonly name: string;
  readonly isKey: boolean;
  readonly typeOid: number;
  readonly values: fc.Arbitrary<Uint8Array>;
}

const column: fc.Arbitrary<KnownColumn> = fc
  .tuple(
    fc.oneof(
      fc.constantFrom("__proto__", "0", "7", "10", "-1", "4294967295", "constructor", "toString", "id"),
      words,
    ),
    fc.boolean(),
    fc.constantFrom(...kinds).chain(([types, values]) =>
      fc.constantFrom(...types).map((typeOid) => {
        const encoded: fc.Arbitrary<Uint8Array> = values.map((value) => Buffer.from(value));
        return { typeOid, values: typeOid === 25 ? fc.oneof(encoded, bytes) : encoded };
      }),
    ),
  )
  .map(([name, isKey, kind]) => ({ name, isKey, ...kind }));

interface Shape extends TableShape {
  readonly columns: readonly KnownColumn[];
}

const shapes = (oid: number): fc.Arbitrary<Shape> =>
  fc.record({
    oid: fc.constant(oid),
    schema: words,
    name: words,
    identity: fc.constantFrom("d", "n", "f", "i"),
    columns: fc.uniqueArray(column, { maxLength: 7, selector: ({ name }) => name }),
  });

const row = ({ columns }: Shape, isNew: boolean): fc.Arbitrary<Sent[]> =>
  fc.tuple(
    ...columns.map(
      ({ values }): fc.Arbitrary<Sent> =>
        fc.oneof(
          { weight: 6, arbitrary: values },
          fc.constant(null),
          ...(isNew ? [fc.constant("unchanged" as const)] : []),
        ),
    ),
  );
/** What is no part of the key is null. */
const key = ({ columns }: Shape): fc.Arbitrary<Sent[]> =>
  fc.tuple(...columns.map(({ isKey, values }): fc.Arbitrary<Sent> => (isKey ? values : fc.constant(null))));
const before = (shape: Shape) =>
  fc.oneof(
    key(shape).map((sent) => ["K", sent] as const),
    row(shape, false).map((sent) => ["O", sent] as const),
  );

const lsns = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 9n }), fc.bigInt({ min: 0n, max: 2n ** 34n }));
const oids = [1, 2, 4_000_000_000];
const uint32s = fc.integer({ min: 0, max: 2 ** 32 - 1 });

/** One or more messages about tables as they now are; a table may first become another. */
function change(tables: ReadonlyMap<number, Shape>): fc.Arbitrary<readonly Buffer[]> {
  const about = (shape: Shape) =>
    fc.oneof(
      row(shape, false).map((sent) => message.insert(shape.oid, sent)),
      fc
        .tuple(fc.option(before(shape), { nil: undefined }), row(shape, true))
        .map(([old, sent]) => message.update(shape.oid, old, sent)),
      before(shape).map(([kind, sent]) => message.delete(shape.oid, kind, sent)),
    );
  const [first, ...others] = [...tables.values()].map(about);
  return fc.oneof(
    {
      weight: 8,
      arbitrary: fc.oneof(...(first === undefined ? [] : [first, ...others])).map((one) => [one]),
    },
    fc.tuple(fc.subarray(oids), fc.nat(3)).map(([some, options]) => [message.truncate(some, options)]),
    fc.tuple(uint32s, words, words).map((type) => [message.type(...type)]),
    fc.tuple(lsns, words).map((origin) => [message.origin(...origin)]),
    fc.tuple(lsns, words, bytes).map((logical) => [message.logical(...logical)]),
    fc
      .constantFrom(...oids)
      .chain(shapes)
      .chain((shape) => about(shape).map((one) => [message.relation(shape), one])),
  );
}

const tables = fc.tuple(...oids.map(shapes));
const transaction = tables.chain((all) =>
  fc
    .tuple(
      lsns,
      lsns,
      uint32s,
      fc.array(change(new Map(all.map((shape) => [shape.oid, shape]))), { maxLength: 6 }),
    )
    .map(([lsn, time, xid, changes]) => [
      message.begin(lsn, time, xid),
      ...changes.flatMap((messages) => [...all.map(message.relation), ...messages]),
      message.commit(lsn, time),
    ]),
);
const transactions = fc.array(transaction, { maxLength: 4 }).map((all) => all.flat());
const runs = { numRuns: Number(process.env.FUZZ_RUNS ?? 200) };

describe("the decoder of pgoutput", () => {
  it("tells of what was written into the log by hand", () => {
    const told: LogMessage[] = [];
    const decoder = new PgoutputDecoder(db, { change: () => {}, message: (message) => told.push(message) });

    const written = message.logical(0x16_b374_d848n, "shop", Buffer.from("closed"));
    decoder.decode(written, 0, written.length);

    expect(told).toEqual([{ prefix: "shop", content: Buffer.from("closed"), isTransactional: true }]);
  });

  it("makes an event of what was written in a transaction, with a prefix that it is told of", () => {
    const events: ChangeEvent<Row, Lsn>[] = [];
    const told: string[] = [];
    const decoder = new PgoutputDecoder(db, {
      change: (event) => events.push(event),
      message: ({ prefix }) => told.push(prefix),
      prefixes: new Set(["shop"]),
    });
    const each = [
      message.begin(0x16_b374_d848n, 0n, 7),
      message.logical(1n, "shop", Buffer.from('{"id": "a"}')),
      message.logical(2n, "other", Buffer.from("{}")),
      message.commit(0x16_b374_d848n, 0n),
    ];
    for (const one of each) decoder.decode(one, 0, one.length);

    expect(events).toEqual([
      {
        ...{ id: "a", op: "m", ts_ms: 946_684_800_000, before: null, after: { id: "a" } },
        source: { connector: "postgresql", db, prefix: "shop", lsn: "16/B374D848", txId: 7 },
        transaction: { id: "7:16/B374D848", total_order: 1, last: true },
        position: "16/B374D848:1",
      },
    ]);
    expect(told).toEqual(["other"]);
    const outside = message.logical(3n, "shop", Buffer.from("{}"));
    expect(() => decoder.decode(outside, 0, outside.length)).toThrow(
      "found a message, expected a transaction",
    );
  });

  it("makes the same events, byte for byte, as the one of pg-logical-replication", () => {
    fc.assert(
      fc.property(transactions, (messages) => {
        const events = decoded(messages);
        const expected = referenceEvents(messages, db);

        expect(events.map((event) => JSON.stringify(event))).toEqual(
          expected.map((event) => JSON.stringify(event)),
        );
        // Also what JSON does not tell apart, such as -0 and 0; a column may be named `constructor`.
        expect(isDeepStrictEqual(events, expected)).toBe(true);
      }),
      runs,
    );
  });

  it.each(recordedCorpus())("makes the recorded events, byte for byte: $name", ({ messages, events }) => {
    const sent = messages.map((each) => Buffer.from(each, "base64"));

    const made = decoded(sent, "postgres");
    expect(made.map((event) => JSON.stringify(event))).toEqual(events);
    expect(made.map((event) => wordsIn(publish(event)).join())).toEqual(events);
  });

  it("keeps a byte order mark, which is a part of the text", () => {
    const table: TableShape = { ...orders, columns: [{ name: "\ufeffid", isKey: true, typeOid: 25 }] };
    const [event] = decoded([
      message.begin(1n, 1n, 1),
      message.relation(table),
      message.insert(1, [Buffer.from("\ufeffa")]),
      message.commit(1n, 1n),
    ]);

    expect(event?.after).toEqual({ "\ufeffid": "\ufeffa" });
  });

  it("makes rows and events that are ordinary objects, none of them shared", () => {
    const [first, second] = decoded([
      ...[message.begin(1n, 1n, 1), message.relation(orders)],
      ...[
        message.insert(1, [Buffer.from("1")]),
        message.insert(1, [Buffer.from("2")]),
        message.commit(1n, 1n),
      ],
    ]);

    for (const part of [first, first?.after, first?.source, first?.transaction]) {
      expect(Object.getPrototypeOf(part)).toBe(Object.prototype);
    }
    expect(first?.source).not.toBe(second?.source);
    expect(first?.transaction).not.toBe(second?.transaction);
  });

  it.each<[string, Buffer, RegExp]>([
    ["a message of no kind", Buffer.from("Z"), /kind 90/],
    ["a change of an unknown table", message.insert(9, []), /table 9/],
    [
      "a value of no kind",
      Buffer.concat([message.insert(1, []).subarray(0, 6), Buffer.of(0, 1), Buffer.from("b")]),
      /kind 98/,
    ],
    [
      "an old row of no kind",
      Buffer.concat([message.delete(1, "K", []).subarray(0, 5), Buffer.from("X")]),
      /kind 88/,
    ],
    ["more columns than the table has", message.insert(1, [null, null]), /2 columns/],
    ["a row that ends early", message.insert(1, [Buffer.from("12")]).subarray(0, -1), /1 byte/],
    ["a row that goes on", Buffer.concat([message.insert(1, [null]), Buffer.of(0)]), /1 byte/],
  ])("refuses %s", (_, broken, expected) => {
    const before = [message.begin(1n, 1n, 1), message.relation(orders)];
    // What follows in the same read is not taken for a part of it.
    const read = Buffer.concat([broken, Buffer.alloc(99)]);
    const events: ChangeEvent<Row, Lsn>[] = [];
    const decoder = new PgoutputDecoder(db, { change: (event) => events.push(event) });
    for (const each of before) decoder.decode(each, 0, each.length);

    expect(() => decoder.decode(read, 0, broken.length)).toThrow(expected);
    expect(events).toEqual([]);
  });

  it("refuses a change outside of a transaction", () => {
    expect(() => decoded([message.relation(orders), message.insert(1, [null])])).toThrow(/a transaction/);
  });
});

/** What is received of a stream that comes in pieces. */
function received(pieces: readonly Buffer[]): readonly [kind: string, content: string][] {
  const messages: [string, string][] = [];
  const reader = new ServerMessages((kind, buffer, start, end) => {
    messages.push([String.fromCharCode(kind), buffer.toString("latin1", start, end)]);
  });
  for (const piece of pieces) reader.push(piece);
  return messages;
}

const sent = fc.array(fc.tuple(fc.constantFrom("d", "Z", "N"), fc.uint8Array({ maxLength: 40 })), {
  maxLength: 12,
});

describe("the messages of a server", () => {
  it("are the same wherever a read ends", () => {
    fc.assert(
      fc.property(sent, fc.array(fc.nat(500)), (messages, cuts) => {
        const stream = Buffer.concat(messages.map(([kind, content]) => framed(kind, content)));
        const borders = [...cuts.map((cut) => Math.min(cut, stream.length)), stream.length].sort(
          (a, b) => a - b,
        );
        const pieces = borders.map((end, index) =>
          Buffer.from(stream.subarray(borders[index - 1] ?? 0, end)),
        );

        expect(received(pieces)).toEqual(
          messages.map(([kind, content]) => [kind, Buffer.from(content).toString("latin1")]),
        );
      }),
      runs,
    );
  });

  it("may be long, and come byte by byte", () => {
    const long = Buffer.alloc(300_000, "x");
    const stream = Buffer.concat([framed("d", long), framed("Z", Buffer.from("I"))]);
    const pieces = Array.from(stream, (byte) => Buffer.of(byte));

    expect(received(pieces)).toEqual([
      ["d", long.toString()],
      ["Z", "I"],
    ]);
  });

  it("are no messages with a length below that of the length itself", () => {
    expect(() => received([Buffer.from([0x64, 0, 0, 0, 3])])).toThrow(/3 bytes/);
  });
});
