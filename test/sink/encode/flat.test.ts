import { from, lastValueFrom } from "rxjs";
import { describe, expect, it } from "vitest";
import { redisSink } from "../../../src/index.ts";
import { columnsOf } from "../../../src/sink/encode/flat.ts";
import { fakeRedis } from "../../../src/testing/index.ts";

const created = { op: "c", before: null, after: { id: 7, item: "tea", gift: null } };

describe("columnsOf", () => {
  it.each([
    ["of an event its properties", { orderId: 7, item: "tea" }, ["orderId", "7", "item", "tea"]],
    ["of a change the row's columns", created, ["op", "c", "id", "7", "item", "tea"]],
    ["of a delete those before", { op: "d", before: { id: 7 }, after: null }, ["op", "d", "id", "7"]],
    ["of a truncation none", { op: "t", before: null, after: null }, ["op", "t"]],
    ["of what only looks like a change its properties", { op: "c", id: 7 }, ["op", "c", "id", "7"]],
    [
      "as in JSON what is no text",
      {
        ...{ yes: true, none: undefined, some: ["a"], deep: { a: 1n }, large: 2n ** 64n },
        ...{ at: new Date(0), not: Number.NaN, make: () => {}, empty: "", quoted: '"' },
      },
      [
        ...["yes", "true", "some", '["a"]', "deep", '{"a":"1"}', "large", "18446744073709551616"],
        ...["at", "1970-01-01T00:00:00.000Z", "not", "null", "empty", "", "quoted", '"'],
      ],
    ],
  ])("gives %s", (_case, event, words) => {
    expect(columnsOf(event)).toEqual(words);
  });

  it("leaves bytes as they are", () => {
    expect(columnsOf({ a: Buffer.from([0xff]) })).toEqual(["a", Buffer.from([0xff])]);
  });

  it.each([[null], ["text"], [[1]], [{ op: "c", after: 5 }]])("finds none in %j", (event) => {
    expect(() => columnsOf(event)).toThrow("expected an object with columns");
  });
});

describe("envelope: flat", () => {
  it("writes them as the entry's fields, and further ones after them", async () => {
    const redis = fakeRedis();
    const sink = redisSink<typeof created>({
      ...{ id: "flat", connection: redis, stream: "flat", envelope: "flat" },
      fields: { at: "${after.id}" },
    });

    await lastValueFrom(from([created]).pipe(sink));

    expect(redis.entries("flat").map(({ content }) => content)).toEqual([
      ["op", "c", "id", "7", "item", "tea", "at", "7"],
    ]);
  });

  it("sets an event aside as a whole that has no columns", async () => {
    const redis = fakeRedis();
    const options = { id: "flat", connection: redis, stream: "flat", envelope: "flat" } as const;

    const events = from([{ a: null }, { a: 1 }]);
    await lastValueFrom(events.pipe(redisSink({ ...options, deadLetters: { stream: "dead" } })));

    expect(redis.events("dead")).toEqual(['{"a":null}']);
    expect(redis.entries("flat").map(({ content }) => content)).toEqual([["a", "1"]]);
    await expect(lastValueFrom(events.pipe(redisSink(options)))).rejects.toThrow(
      "event 0: content failed: found 0 names and values, expected as many names as values, at least 1",
    );
  });
});
