import {
  filter,
  firstValueFrom,
  groupBy,
  lastValueFrom,
  map,
  mergeMap,
  of,
  pipe,
  Subject,
  toArray,
} from "rxjs";
import { describe, expect, it } from "vitest";
import { keepPositions, redisSink, replicate, Skipped, type Source } from "../src/index.ts";
import { emptyRedis } from "./support/emptyRedis.ts";
import { marbles } from "./support/marbles.ts";
import { readEvents } from "./support/tally.ts";

interface Change {
  readonly id: string;
  readonly table: string;
  readonly position: number;
  readonly transaction?: { readonly id: string; readonly last?: boolean };
}

function change(position: number, table: string): Change {
  return { id: `${position}`, table, position };
}

const ofOrders = filter<Change>(({ table }) => table === "orders");
const [a, b, c] = [change(1, "orders"), change(2, "logs"), change(3, "orders")];

describe("keepPositions", () => {
  it(
    "lets through what its filter does, and puts the position of the others in their place",
    marbles(({ hot, expectObservable }) => {
      const source = hot("  -a-b-c-|", { a, b, c });
      const expected = "    -a-s-c-|";

      const result = source.pipe(keepPositions(ofOrders));

      expectObservable(result).toBe(expected, { a, c, s: new Skipped(2, undefined) });
    }),
  );

  it(
    "transforms in the place of each event, into several as well",
    marbles(({ hot, expectObservable }) => {
      const source = hot("  -a----b----|", { a, b });
      const expected = "    -(xy)-(zw)-|";

      const result = source.pipe(keepPositions(mergeMap(({ id }) => [`${id}.1`, `${id}.2`])));

      expectObservable(result).toBe(expected, { x: "1.1", y: "1.2", z: "2.1", w: "2.2" });
    }),
  );

  it(
    "keeps the order of the source through groups",
    marbles(({ hot, expectObservable }) => {
      const source = hot("  -a-b-c-|", { a, b, c });
      const expected = "    -x-y-z-|";

      const result = source.pipe(
        keepPositions(
          pipe(
            groupBy(({ table }) => table),
            mergeMap((ofTable) => ofTable.pipe(map(({ table }, number) => `${table} ${number}`))),
          ),
        ),
      );

      expectObservable(result).toBe(expected, { x: "orders 0", y: "logs 0", z: "orders 1" });
    }),
  );

  it(
    "passes errors of the source and of the operators on, and ends with the operators",
    marbles(({ hot, expectObservable }) => {
      const broken = keepPositions(
        map((event: Change) => {
          throw new Error(event.id);
        }),
      );

      expectObservable(hot("-a-#", { a }).pipe(keepPositions(ofOrders))).toBe("-a-#", { a });
      expectObservable(hot("-a-|", { a }).pipe(broken)).toBe("-#", undefined, new Error("1"));
    }),
  );

  it("keeps the transaction of what is filtered out, so that a sink knows where it ends", async () => {
    const last = { ...change(4, "logs"), transaction: { id: "t1", last: true } };

    expect(await firstValueFrom(of(last).pipe(keepPositions(ofOrders)))).toEqual(
      new Skipped(4, last.transaction),
    );
  });

  describe.each(["script", "pipeline"] as const)("before a sink with publish: %s", (publish) => {
    const stream = "orders.events";
    const redis = emptyRedis();

    function sink(settings: { readonly stream?: string } = {}) {
      return redisSink<Change, number>({ id: "orders-redis", uri: redis.uri, stream, publish, ...settings });
    }

    it("moves the checkpoint past events that are filtered out, and publishes the others alone", async () => {
      const changes = Array.from({ length: 2000 }, (_, n) =>
        change(n + 1, n % 100 === 0 ? "orders" : "logs"),
      );

      const checkpoints = await lastValueFrom(
        of(...changes).pipe(keepPositions(ofOrders), sink(), toArray()),
      );

      expect(checkpoints.at(-1)).toMatchObject({ position: 2000 });
      expect(checkpoints.reduce((sum, { events }) => sum + events, 0)).toBe(2000);
      expect(await readEvents(redis.client, stream)).toHaveLength(20);
    });

    it("stores the position although nothing was published, so that the source goes on there", async () => {
      const positions: unknown[] = [];
      const log: Source<Change, number> = (from) => {
        positions.push(from);
        return of(...[1, 2, 3].map((n) => change(n, "logs")));
      };
      const filtered: Source<Change | Skipped<number>, number> = (from, flow) =>
        log(from, flow).pipe(keepPositions(ofOrders));

      await lastValueFrom(replicate({ source: filtered, sink: sink() }));
      await lastValueFrom(replicate({ source: filtered, sink: sink() }));

      expect(positions).toEqual([{ _tag: "None" }, { _tag: "Some", value: 3 }]);
      expect(await redis.client.exists(stream)).toBe(0);
    });

    it("publishes no event twice when it is run again", async () => {
      const changes = [a, b, c];
      for (let run = 0; run < 2; run += 1)
        await lastValueFrom(of(...changes).pipe(keepPositions(ofOrders), sink()));

      expect(await readEvents(redis.client, stream)).toHaveLength(2);
    });

    it("works with a stream template", async () => {
      const checkpoint = await lastValueFrom(
        of(a, c, b).pipe(
          map((event, index) => ({ ...event, position: index + 1 })),
          keepPositions(pipe(ofOrders)),
          sink({ stream: "cdc.${table}" }),
        ),
      );

      expect(checkpoint).toMatchObject({ position: 3 });
      expect(await redis.client.xlen("cdc.orders")).toBe(2);
    });

    it("hands a checkpoint out at once while the source is quiet", async () => {
      const changes$ = new Subject<Change>();
      const checkpoint = firstValueFrom(changes$.pipe(keepPositions(ofOrders), sink()));

      changes$.next(b);

      expect(await checkpoint).toMatchObject({ position: 2, events: 1 });
    });
  });
});
