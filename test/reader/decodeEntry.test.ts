import { isLeft, left, right } from "fp-ts/lib/Either.js";
import * as t from "io-ts";
import { describe, expect, it } from "vitest";
import { decodeEntry } from "../../src/reader/decodeEntry.ts";

const content = (...words: readonly (string | Buffer)[]) => words.map((word) => Buffer.from(word));
const card = "4111111111111111";
const thenable = Object.fromEntries(["then"].map((name) => [name, () => {}]));

/** What an entry reads as; of one without JSON in it there is no event. */
function read(...words: readonly (string | Buffer)[]) {
  const decoded = decodeEntry({ decode: () => undefined })(content(...words));
  if (isLeft(decoded)) throw new Error(decoded.left);
  return decoded.right;
}

describe("an entry's fields", () => {
  it("gives fields by their names, whatever those are", () => {
    const { fields } = read("__proto__", "p", "2", "two", "1", "one", "constructor", "c");

    expect(Object.entries(fields)).toEqual([
      ["1", "one"],
      ["2", "two"],
      ["__proto__", "p"],
      ["constructor", "c"],
    ]);
    expect(Object.getPrototypeOf(fields)).toBe(Object.prototype);
  });

  it("gives the last value of a name that repeats", () => {
    expect(read("event", "1", "event", "2").fields).toEqual({ event: "2" });
  });

  it("are kept in their order byte for byte, as bytes where they are no text", () => {
    const bytes = Buffer.from([0x7b, 0xff, 0x00, 0xc3]);
    expect(read("event", "é\ufeff", "b", bytes, "b", "2").content).toEqual([
      "event",
      "é\ufeff",
      "b",
      bytes,
      "b",
      "2",
    ]);
    expect(read("event", bytes).content).toEqual(["event", bytes]);
    expect(read("event", "\ufffd").content).toEqual(["event", Buffer.from("\ufffd")]);
  });
});

describe("decodeEntry", () => {
  it("reads the JSON in the field event, or all fields where there is none", () => {
    const decode = decodeEntry({});

    expect(decode(content("event", '{"id":"é"}'))).toEqual(
      right({ fields: { event: '{"id":"é"}' }, content: ["event", '{"id":"é"}'], event: { id: "é" } }),
    );
    expect(decode(content("a", "1"))).toEqual(
      right({ fields: { a: "1" }, content: ["a", "1"], event: { a: "1" } }),
    );
  });

  it("says where JSON ends being JSON, and shows nothing of it", () => {
    const decode = decodeEntry({});

    expect(decode(content("event", card.slice(1).padStart(20, "x")))).toEqual(left("event: found no JSON"));
    expect(decode(content("event", `{"card":"${card}" "x"}`))).toEqual(
      left("event: found no JSON at position 27"),
    );
  });

  it("says where a codec found what, and shows no value", () => {
    const codec = t.type({ id: t.string, after: t.type({ n: t.number, list: t.array(t.number) }) });
    const event = { id: { card }, after: { n: card, list: [1, card] } };

    expect(decodeEntry({ codec })(content("event", JSON.stringify(event)))).toEqual(
      left(
        "id: found an object, expected string; after.n: found text, expected number; after.list[1]: found text, expected number",
      ),
    );
    expect(decodeEntry({ codec })(content("event", `"${card}"`))).toEqual(
      left(expect.stringMatching(/^found text, expected \{ id: string/)),
    );
  });

  it("says where in the value, whatever a codec is made of", () => {
    const codec = t.intersection([t.type({ id: t.string }), t.type({ n: t.union([t.number, t.null]) })]);

    expect(decodeEntry({ codec })(content("event", '{"id":1,"n":"x"}'))).toEqual(
      left(
        "id: found a number, expected string; n: found text, expected number; n: found text, expected null",
      ),
    );
  });

  it("names the first ten problems of many", () => {
    const codec = t.array(t.string);
    const event = Array.from({ length: 1000 }, (_, index) => index);

    const decoded = decodeEntry({ codec })(content("event", JSON.stringify(event)));

    expect(decoded).toEqual(
      left(expect.stringMatching(/^\[0\]: .*\[9\]: found a number, .*; and 990 more$/)),
    );
  });

  it.each([
    ["codec", { codec: { name: "x", validate: t.string.validate, decode: thrown } }],
    ["decode", { decode: thrown }],
  ])("takes what %s throws for a refusal, whatever it is", (name, decoding) => {
    expect(decodeEntry(decoding)(content("event", "{}"))).toEqual(
      left(`${name}: something that has no text`),
    );
  });

  it("reads what is no JSON with a function of the user's, and checks what it gives", () => {
    const decode = decodeEntry({
      decode: (event, content) => ({ n: event.readUInt8(0), schema: `${content[1]}` }),
      codec: t.type({ n: t.number, schema: t.literal("Order/1") }),
    });

    expect(decode([...content("schema", "Order/1", "event"), Buffer.from([7])])).toMatchObject(
      right({ event: { n: 7, schema: "Order/1" } }),
    );
    expect(decode([...content("schema", "Order/2", "event"), Buffer.from([7])])).toEqual(
      left('schema: found text, expected "Order/1"'),
    );
    expect(decode(content("n", "7"))).toEqual(
      left('n: found text, expected number; schema: found nothing, expected "Order/1"'),
    );
  });
});

describe("a function that decodes later", () => {
  it("is refused, and what it rejects with ends nothing", () => {
    const decode = decodeEntry({ decode: () => Promise.reject(new Error("later")) });

    expect(decode(content("event", "x"))).toEqual(
      left("decode: found a Promise, expected the event: it has to be there at once"),
    );
  });
});

function thrown(): never {
  throw Object.create(null);
}

describe("the field that holds the event", () => {
  it("may be another one", () => {
    const decode = decodeEntry({ field: "data" });

    expect(decode(content("event", "OrderPlaced", "data", '{"id":1}'))).toMatchObject(
      right({ event: { id: 1 } }),
    );
    expect(decode(content("event", "OrderPlaced"))).toMatchObject(right({ event: { event: "OrderPlaced" } }));
    expect(decode(content("data", `{"card":"${card}"`))).toEqual(
      left(expect.stringMatching(/^data: found no JSON/)),
    );
  });

  it("may hold what is no JSON", () => {
    const decode = decodeEntry({ field: "data", decode: (data) => data.readUInt8(0) });

    expect(decode([...content("event", "x", "data"), Buffer.from([7])])).toMatchObject(right({ event: 7 }));
  });

  it.each(["__proto__", "constructor", "toString"])("may be called %s", (field) => {
    const decode = decodeEntry({ field });

    expect(decode(content(field, "5"))).toMatchObject(right({ event: 5 }));
    expect(decode(content("a", "5"))).toMatchObject(right({ event: { a: "5" } }));
  });
});

describe("an event of all fields", () => {
  it("is made of them as text and as bytes, whatever event holds", () => {
    const image = Buffer.from([0xff, 0x00]);
    const decode = decodeEntry({
      decodeFields: ({ event, total }, { image }) => ({ event, total: Number(total), image }),
      codec: t.type({ event: t.string, total: t.number, image: t.unknown }),
    });

    expect(decode(content("event", "OrderPlaced", "total", "1", "total", "5", "image", image))).toMatchObject(
      right({ event: { event: "OrderPlaced", total: 5, image } }),
    );
  });

  it.each([
    ["decodeFields", { decodeFields: thrown }, "something that has no text"],
    [
      "decodeFields",
      { decodeFields: () => Promise.resolve(5) },
      "found a Promise, expected the event: it has to be there at once",
    ],
    ["decode", { decode: () => thenable }, "found a Promise, expected the event: it has to be there at once"],
  ])("is refused where %s throws or comes later", (name, decoding, reason) => {
    expect(decodeEntry(decoding)(content("event", "x"))).toEqual(left(`${name}: ${reason}`));
  });
});

describe("a function that changes what it is given", () => {
  it.each<[string, Parameters<typeof decodeEntry>[0]]>([
    [
      "decode",
      {
        decode: (event, all) => {
          event.fill(0);
          for (const word of all) word.fill(0);
          throw new Error("no");
        },
      },
    ],
    [
      "decodeFields",
      {
        decodeFields: (fields, bytes) => {
          for (const word of Object.values(bytes)) word.fill(0);
          Object.assign(fields, { event: "" });
          return fields;
        },
      },
    ],
  ])("changes nothing of the entry: %s", (_name, decoding) => {
    const binary = Buffer.from([0xff, 0x01]);
    const entry = content("event", "x", "binary", binary);

    const decoded = decodeEntry(decoding)(entry);

    expect(entry).toEqual(content("event", "x", "binary", binary));
    if (!isLeft(decoded)) {
      expect(decoded.right.fields.event).toBe("x");
      expect(decoded.right.content).toEqual(["event", "x", "binary", binary]);
    }
  });
});
