import {
  concatMap,
  delay,
  filter,
  firstValueFrom,
  from,
  groupBy,
  lastValueFrom,
  map,
  mergeMap,
  type OperatorFunction,
  of,
  pipe,
  range,
  Subject,
  take,
  toArray,
} from "rxjs";
import { describe, expect, it, vi } from "vitest";
import { keepPositions, redisSink, replicate, Skipped, type Source } from "../../src/index.ts";
import { isSkipped } from "../../src/pipeline/keepPositions.ts";
import { readEvents } from "../kit/load/tally.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { marbles } from "../kit/time/marbles.ts";

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

  const late = (id: string) =>
    expect.objectContaining({
      _tag: "ConfigurationInvalid",
      message: expect.stringContaining(`found a result for event ${id} after the event's turn`),
    });

  it.each<readonly [string, OperatorFunction<Change, Change>]>([
    ["mergeMap", mergeMap((event) => of(event).pipe(delay(2)))],
    ["concatMap", concatMap((event) => of(event).pipe(delay(2)))],
    ["delay", delay(2)],
  ])("ends with an error that names the event when %s answers later", (_, how) =>
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot("  -ab----", { a, b });
      const sub = "         ^--!   ";
      const expected = "    -st#   ";

      const result = source.pipe(keepPositions(how));

      expectObservable(result).toBe(
        expected,
        { s: new Skipped(1, undefined), t: new Skipped(2, undefined) },
        late("1"),
      );
      expectSubscriptions(source.subscriptions).toBe(sub);
    })(),
  );

  it(
    "ends with that error as well when the answer comes after the source has completed",
    marbles(({ hot, expectObservable }) => {
      const result = hot("-a|", { a }).pipe(
        keepPositions(mergeMap(({ id }) => of(Number(id)).pipe(delay(3)))),
      );

      // The result has no id: the event that was passed over last has.
      expectObservable(result).toBe("-s--#", { s: new Skipped(1, undefined) }, late("1"));
    }),
  );

  it("passes over each event in its place when one makes the source emit the next", () => {
    const source = new Subject<Change>();
    const seen: unknown[] = [];

    source.pipe(keepPositions(ofOrders)).subscribe((result) => {
      seen.push(result);
      if (result === a) source.next(b);
      if (seen.length === 2) source.next(c);
    });
    source.next(a);

    expect(seen).toEqual([a, new Skipped(2, undefined), c]);
  });

  it("stops an endless synchronous source when nobody listens any more", () => {
    const seen: unknown[] = [];

    range(0, Number.POSITIVE_INFINITY)
      .pipe(keepPositions(filter((n) => n % 2 === 1)), take(2))
      .subscribe((result) => seen.push(result));

    expect(seen).toEqual([new Skipped(undefined, undefined), 1]);
  });

  it("ends with PositionInvalid when the event throws whatever it is asked, and what it throws has no text", () => {
    const thrower = () => {
      throw Object.create(null);
    };
    const hostile = new Proxy({}, { get: thrower, has: thrower });
    let ending: unknown;

    from([hostile])
      .pipe(keepPositions(filter(() => false)))
      .subscribe({
        error: (error) => {
          ending = error;
        },
      });

    expect(ending).toMatchObject({
      _tag: "PositionInvalid",
      message: expect.stringContaining("event without an id: position or transaction failed"),
    });
  });

  it.each(["position", "transaction"])("ends with PositionInvalid when %s throws", (callback) =>
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot("  -b--", { b });
      const sub = "         ^!  ";
      const broken = () => {
        throw new Error("no such field");
      };
      const error = expect.objectContaining({
        _tag: "PositionInvalid",
        message: "event 2: position or transaction failed: no such field",
      });

      const result = source.pipe(keepPositions(ofOrders, { [callback]: broken }));

      expectObservable(result).toBe("-#", undefined, error);
      expectSubscriptions(source.subscriptions).toBe(sub);
    })(),
  );

  it("is understood by a sink of another copy of the package", async () => {
    vi.resetModules();
    const other: typeof import("../../src/pipeline/keepPositions.ts") = await import(
      "../../src/pipeline/keepPositions.ts"
    );
    const fromOther = new other.Skipped(1, undefined);

    expect(fromOther).not.toBeInstanceOf(Skipped);
    expect(isSkipped(fromOther)).toBe(true);
    expect([undefined, null, "x", {}, { position: 1 }].filter(isSkipped)).toEqual([]);
  });

  it("keeps the transaction of what is filtered out, so that a sink knows where it ends", async () => {
    const last = { ...change(4, "logs"), transaction: { id: "t1", last: true } };

    expect(await firstValueFrom(of(last).pipe(keepPositions(ofOrders)))).toEqual(
      new Skipped(4, last.transaction),
    );
  });

  describe.each(["script", "multi"] as const)("before a sink with publish: %s", (publish) => {
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

      expect(positions).toEqual([undefined, 3]);
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
