import { createClient } from "redis";
import { describe, expect, it } from "vitest";
import { groupDeliveries, streamEntries, streamSource, watchGroup } from "../../src/consumer.ts";
import { fakeGroup } from "../../src/testing/fakeGroup.ts";
import { fakeRedis } from "../../src/testing/fakeRedis.ts";

const there = { uri: "redis://h", stream: "orders.events", group: "mailer" };
const dead = { deadLetters: { stream: "orders.dead" } };

describe("groupDeliveries refuses at once", () => {
  it.each<[object, RegExp]>([
    [{ blockMs: 1.5 }, /blockMs: found 1.5, expected a whole number of milliseconds from 1 to 2147483647$/],
    [{ claimIdleMs: 1.5 }, /claimIdleMs: found 1.5, expected a whole number of milliseconds/],
    [{ start: "9".repeat(23) }, /start: found "9{23}", expected an entry ID such as /],
    [{ start: `${2n ** 64n}-0` }, /start: found "?18446744073709551616-0"?, expected an entry ID/],
    [
      { maxDeliveries: 0, ...dead },
      /maxDeliveries: found 0, expected a whole number from 1 on, or Infinity$/,
    ],
    [{ maxDeliveries: 1.5, ...dead }, /maxDeliveries: found 1.5, expected a whole number from 1 on/],
    [{ deadLetter: { stream: "orders.dead" } }, /deadLetter: no such option; did you mean deadLetters\?$/],
    [{ status: () => {} }, /status: found a function, expected an observer, with a function next$/],
    [{ until: 5000 }, /until: found a number, expected an Observable$/],
    [{ codec: {} }, /codec: found an object, expected an io-ts codec, or a schema of Standard Schema$/],
    [
      { decodeFields: () => 5, field: "data" },
      /groupDeliveries: decodeFields: found field as well, expected one of them$/,
    ],
    [{ decodeFields: () => 5, decode: () => 5 }, /decodeFields: found decode as well, expected one of them$/],
    [{ decode: "avro" }, /decode: found avro, expected a function$/],
    [{ metrics: { status: () => {} } }, /metrics: found an object, expected what consumerMetrics makes$/],
    [
      { deadLetters: { stream: "orders.events" } },
      /deadLetters\.stream: found orders\.events, which is read itself, expected another stream$/,
    ],
  ])("%o", (options, message) => {
    expect(() => groupDeliveries({ ...there, ...options })).toThrow(message);
  });

  it("nothing that is all right", () => {
    expect(() =>
      groupDeliveries({
        ...there,
        ...dead,
        start: `${2n ** 64n - 1n}-5`,
        maxDeliveries: Number.POSITIVE_INFINITY,
        consumer: undefined,
      }),
    ).not.toThrow();
  });
});

it("every function refuses what is no connection of ioredis, and is told which server at all", () => {
  const { group } = there;
  const wrong = (more: object) => ({ stream: "s", ...more }) as never;
  const makers: readonly [string, (more: object) => unknown][] = [
    ["groupDeliveries", (more) => groupDeliveries(wrong({ group, ...more }))],
    ["watchGroup", (more) => watchGroup(wrong({ group, ...more }))],
    ["streamEntries", (more) => streamEntries(wrong(more))],
    ["streamSource", (more) => streamSource(wrong(more))],
  ];
  for (const [name, make] of makers) {
    expect(() => make({ connection: createClient() })).toThrow(
      `${name}: connection: found a client of node-redis, expected a Redis or Cluster of ioredis, as new Redis(…) makes it, or a uri in its place`,
    );
    const inMemory = () => make({ connection: fakeRedis() });
    if (name === "groupDeliveries" || name === "streamEntries") expect(inMemory).not.toThrow();
    else expect(inMemory).toThrow(`${name}: connection: found an object, expected`);
    expect(() => make({})).toThrow(`${name}: uri: found nothing, expected a uri, or a connection of ioredis`);
  }
  expect(() => groupDeliveries(undefined as never)).toThrow(
    "groupDeliveries: found nothing, expected an object with options",
  );
});

it("every function refuses an option that it does not have, and says which one may be meant", () => {
  const { group, ...stream } = there;

  expect(() => streamEntries({ ...stream, form: "0-0" } as never)).toThrow(
    /^streamEntries: form: no such option; did you mean from\?$/,
  );
  expect(() => streamSource({ ...stream, codec: {} } as never)).toThrow(
    /^streamSource: codec: no such option/,
  );
  expect(() => watchGroup({ ...there, evryMs: 5 } as never)).toThrow(
    /^watchGroup: evryMs: no such option; did you mean everyMs\?$/,
  );
  expect(() => fakeGroup({ maxDelivery: 5 } as never)).toThrow(
    /^fakeGroup: maxDelivery: no such option; did you mean maxDeliveries\?$/,
  );
  expect(() => fakeGroup({ maxDeliveries: 0 })).toThrow(/^fakeGroup: maxDeliveries: found 0, /);
  expect(group).toBe("mailer");
});
