import { Readable } from "node:stream";
import { filter, lastValueFrom, NEVER, take, toArray } from "rxjs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { hasOrder, type Positions, standardPositions } from "../../src/event/positions.ts";
import type { Source } from "../../src/index.ts";
import { ndjson } from "../../src/sources/ndjson/ndjson.ts";
import { streamSource } from "../../src/sources/redis/index.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import { postgresBed } from "./postgres/postgresBed.ts";

const count = 12;

/** A source that has so many events. */
interface Bed<T, P> {
  readonly source: Source<T, P>;
  readonly positionOf: (event: T) => P | undefined;
  /** It begins before the position that it is given: a sink leaves out what it has, as the positions have an order. */
  readonly beginsBefore?: boolean;
}

/** What every source keeps to that can be opened again where a sink stands. */
function resumes<T, P>(name: string, open: () => Promise<Bed<T, P>>): void {
  /** So many of its events after a position: all that there are. */
  async function read({ source, positionOf, beginsBefore }: Bed<T, P>, from: P | undefined, events: number) {
    const positions = positionsOf(source);
    const isLeft = (event: T) => {
      const position = positionOf(event);
      if (!beginsBefore || from === undefined || position === undefined) return true;
      return (positions.compare?.(position, from) ?? 1) > 0;
    };
    return lastValueFrom(source(from, NEVER).pipe(filter(isLeft), take(events), toArray()));
  }

  /** Without any of its own a source has standard ones. */
  function positionsOf(source: Source<T, P>): Positions<P> {
    return source.positions ?? (standardPositions as unknown as Positions<P>);
  }

  async function opened() {
    const bed = await open();
    const events = await read(bed, undefined, count);
    const places = events.map(bed.positionOf).filter((position) => position !== undefined);
    return { bed, events, places, positions: positionsOf(bed.source) };
  }

  describe(`${name}, opened where a sink stands`, () => {
    it("has the same events at the same positions each time", async () => {
      const { bed, events, places } = await opened();

      expect(places).toHaveLength(count);
      expect(await read(bed, undefined, count)).toEqual(events);
    });

    it("goes on strictly after the position that it is given, as it was stored", async () => {
      const { bed, events, places, positions } = await opened();

      for (const done of [1, 2, 5, count - 1]) {
        const from = positions.decode(positions.encode(places[done - 1] as P));
        expect(await read(bed, from, count - done)).toEqual(events.slice(done));
      }
    });

    it("has positions that read back, and that are told apart", async () => {
      const { places, positions } = await opened();

      const texts = places.map(positions.encode);

      expect(texts.map(positions.decode)).toEqual(places);
      expect(new Set(texts).size).toBe(count);
      expect(positions.decode("no position of any source")).toBeUndefined();
    });

    it("emits in the order of its positions, or has none and begins at the right place by itself", async () => {
      const { bed, places, positions } = await opened();

      const isOrdered = places.every((position) => hasOrder(positions, position));
      const orders = places
        .slice(1)
        .map((position, index) => positions.compare?.(places[index] as P, position));
      if (isOrdered) for (const order of orders) expect(order).toBeLessThan(0);
      else expect([orders, bed.beginsBefore]).toEqual([orders.map(() => undefined), undefined]);
    });
  });
}

const lines = (line: (n: number) => object) =>
  Array.from({ length: count }, (_, index) => `${JSON.stringify(line(index + 1))}\n`).join("");

function textOf(text: string) {
  return ndjson(() => Readable.from([Buffer.from(text)]), "input");
}

resumes("ndjson of lines without positions", async () => ({
  source: textOf(lines((n) => ({ n }))),
  positionOf: ({ position }) => position,
  beginsBefore: true,
}));

resumes("ndjson of lines with numbers", async () => ({
  source: textOf(lines((n) => ({ position: n * 10 }))),
  positionOf: ({ position }) => position,
  beginsBefore: true,
}));

resumes("ndjson of lines with LSNs", async () => ({
  source: textOf(lines((n) => ({ position: `16/${(n * 9).toString(16).toUpperCase()}:1` }))),
  positionOf: ({ position }) => position,
  beginsBefore: true,
}));

resumes("ndjson of lines with texts", async () => ({
  source: textOf(lines((n) => ({ position: `token ${n}` }))),
  positionOf: ({ position }) => position,
}));

describe("of a Redis", () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());
  beforeEach(() => redis.client.flushall());

  resumes("streamSource", async () => {
    for (let n = 1; n <= count; n += 1) await redis.client.xadd("s", `${Math.ceil(n / 2)}-${n}`, "n", n);
    return {
      source: streamSource({ uri: redis.uri, stream: "s", blockMs: 200 }),
      positionOf: ({ entryId }) => entryId,
    };
  });
});

describe("of a PostgreSQL", () => {
  const bed = postgresBed();

  resumes("postgresChanges", async () => {
    await bed.openSlot();
    const insert = (first: number, last: number) =>
      bed.query(`INSERT INTO orders SELECT n, 'tea', n FROM generate_series(${first}, ${last}) AS n`);
    await insert(1, 4);
    await insert(5, 5);
    await insert(6, count);
    return { source: bed.source(), positionOf: ({ position }) => position };
  });
});
