import { type } from "arktype";
import { isLeft, left, right } from "fp-ts/lib/Either.js";
import * as v from "valibot";
import { describe, expect, expectTypeOf, it } from "vitest";
import { z } from "zod";
import { groupDeliveries, streamEntries } from "../../src/consumer.ts";
import { type Decoding, decodeEntry } from "../../src/reader/decodeEntry.ts";

interface Order {
  readonly id: string;
  readonly after: { readonly items: readonly number[] };
}

const ofZod = z.object({ id: z.string(), after: z.object({ items: z.array(z.number()) }) });
const ofValibot = v.object({ id: v.string(), after: v.object({ items: v.array(v.number()) }) });
const ofArktype = type({ id: "string", after: { items: "number[]" } });

const card = "4111111111111111";
const json = (event: unknown) => [Buffer.from("event"), Buffer.from(JSON.stringify(event))];

/** Why an entry is refused. */
function refusal(decoding: Decoding<unknown>, event: unknown): string {
  const decoded = decodeEntry(decoding)(json(event));
  if (!isLeft(decoded)) throw new Error("it is not refused");
  return decoded.left;
}

const standard = (validate: (value: unknown) => unknown) => ({
  // What only a program without types can make.
  codec: { "~standard": { version: 1 as const, vendor: "mine", validate: validate as never } },
});

describe.each([
  ["zod", ofZod],
  ["valibot", ofValibot],
  ["arktype", ofArktype],
])("a schema of %s", (_name, codec) => {
  it("says what an event has to be", () => {
    const order: Order = { id: "a", after: { items: [1] } };

    expect(decodeEntry<Order>({ codec })(json(order))).toMatchObject(right({ event: order }));
  });

  it("tells where what was expected, and shows no value", () => {
    const reason = refusal({ codec }, { id: { card }, after: { items: [1, card] } });

    expect(reason.split("; ").toSorted()).toEqual([
      expect.stringMatching(/^after\.items\[1\]: found text, expected (a )?number$/),
      expect.stringMatching(/^id: found an object, expected (a )?string$/),
    ]);
    expect(refusal({ codec }, card)).toMatch(/^found text, expected /);
    expect(refusal({ codec }, card)).not.toContain(card);
  });

  it("is taken by those who read", () => {
    expect(() => groupDeliveries({ uri: "redis://h", stream: "s", group: "g", codec })).not.toThrow();
    expect(() => streamEntries({ uri: "redis://h", stream: "s", codec })).not.toThrow();
  });
});

describe("a schema of Standard Schema", () => {
  it("says what the type of an event is, after it has changed it", () => {
    const codec = z.object({ at: z.string().transform((text) => new Date(text)) });

    expectTypeOf(streamEntries({ uri: "redis://h", stream: "s", codec })).toMatchTypeOf<
      ReturnType<typeof streamEntries<{ at: Date }>>
    >();
    expectTypeOf(decodeEntry({ codec: ofArktype })).toMatchTypeOf<ReturnType<typeof decodeEntry<Order>>>();
    expectTypeOf(decodeEntry({ codec: ofValibot })).toMatchTypeOf<ReturnType<typeof decodeEntry<Order>>>();
    expect(decodeEntry({ codec })(json({ at: "2026-01-01" }))).toMatchObject(
      right({ event: { at: new Date("2026-01-01") } }),
    );
  });

  it("is refused where it decides later", () => {
    const codec = z.object({ id: z.string().refine(() => Promise.resolve(true)) });
    const later = "codec: found a Promise, expected its result: it has to be there at once";

    expect(refusal({ codec }, { id: "a" })).toMatch(/^codec: /);
    expect(
      refusal(
        standard(() => Promise.reject(new Error("later"))),
        {},
      ),
    ).toBe(later);
    const asynchronous = v.objectAsync({
      id: v.pipeAsync(
        v.string(),
        v.checkAsync(() => Promise.resolve(true)),
      ),
    });
    expect(refusal({ codec: asynchronous }, { id: "a" })).toBe(later);
  });

  it.each<[string, (value: unknown) => unknown]>([
    ["throws", thrown],
    ["gives nothing", () => undefined],
    ["gives issues that are none", () => ({ issues: 5 })],
    ["gives issues of nothing", () => ({ issues: [null] })],
    [
      "has an issue at a place that throws",
      () => ({
        issues: [
          {
            path: [
              {
                get key() {
                  return thrown();
                },
              },
            ],
          },
        ],
      }),
    ],
    [
      "has a result that throws",
      () => ({
        get issues() {
          return thrown();
        },
      }),
    ],
  ])("that %s fails its entry alone", (_name, validate) => {
    const decode = decodeEntry(standard(validate));

    expect(decode(json({}))).toEqual(left(expect.stringMatching(/^codec: /)));
  });

  it("names ten issues at most, and shortens what is long", () => {
    const issues = Array.from({ length: 1000 }, (_, index) => ({
      message: card,
      path: ["x".repeat(200), index],
    }));

    const reason = refusal(
      standard(() => ({ issues })),
      {},
    );

    expect(reason.length).toBeLessThan(1010);
    expect(reason).not.toContain(card);
  });
});

function thrown(): never {
  throw new Error("no");
}
