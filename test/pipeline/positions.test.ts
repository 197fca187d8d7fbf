import { concatMap, filter, from, lastValueFrom, type Observable, take, toArray } from "rxjs";
import { describe, expect, it } from "vitest";
import { fanOut, type Positions, pipeSource, redisSink, replicate, type Source } from "../../src/index.ts";
import { replicateUntil } from "../../src/pipeline/until.ts";
import { type FakeRedis, fakeRedis } from "../../src/testing/index.ts";

/** Where an event stands in a log whose pages are counted downwards. */
interface Place {
  readonly page: number;
}

interface Event {
  readonly id: string;
  readonly position: Place;
}

/** @param mark - begins the stored text */
function downwards(mark: string): Positions<Place> {
  return {
    encode: ({ page }) => `${mark}${page}`,
    decode: (text) => (text.startsWith(mark) ? { page: Number(text.slice(mark.length)) } : undefined),
    compare: (a, b) => b.page - a.page,
  };
}

const all: readonly Event[] = [9, 8, 7, 6, 5, 4].map((page) => ({ id: `e${page}`, position: { page } }));

/** The last pages down to one, always from the first on: what is there is for the sink to leave out. */
function log(last: number, positions?: Positions<Place>) {
  const opened: (Place | undefined)[] = [];
  const acknowledged: number[] = [];
  const source: Source<Event, Place> = (at) => {
    opened.push(at);
    return from(all.filter(({ position }) => position.page >= last));
  };
  const acknowledge = ({ page }: Place) => acknowledged.push(page);
  return { opened, acknowledged, source: Object.assign(source, { acknowledge }, positions && { positions }) };
}

const stream = "pages";

function sinkOf(id: string, connection: FakeRedis, positions?: Positions<Place>) {
  return redisSink<Event, Place>({
    ...{ id, connection, stream, batch: { maxEvents: 1 } },
    ...(positions && { positions }),
  });
}

const ids = (redis: FakeRedis) => redis.events(stream).map((event) => JSON.parse(event).id);

describe("positions that a source brings", () => {
  it("are those of a sink whose options name none: stored, gone on after, and compared", async () => {
    const redis = fakeRedis();
    const first = log(7, downwards("p"));
    await lastValueFrom(replicate({ source: first.source, sink: sinkOf("a", redis) }));
    expect(redis.position("a", stream)).toBe("p7");
    expect(first.acknowledged).toEqual([9, 8, 7]);

    const second = log(4, downwards("p"));
    const checkpoints = await lastValueFrom(
      replicate({ source: second.source, sink: sinkOf("a", redis) }).pipe(toArray()),
    );

    expect(second.opened).toEqual([{ page: 7 }]);
    expect(checkpoints.map(({ position }) => position?.page)).toEqual([7, 7, 7, 6, 5, 4]);
    expect(checkpoints.map(({ replayed }) => replayed)).toEqual([1, 1, 1, 0, 0, 0]);
    expect(ids(redis)).toEqual(["e9", "e8", "e7", "e6", "e5", "e4"]);
  });

  it("step back behind those that the sink's options name", async () => {
    const redis = fakeRedis();

    await lastValueFrom(
      replicate({ source: log(7, downwards("p")).source, sink: sinkOf("a", redis, downwards("own ")) }),
    );

    expect(redis.position("a", stream)).toBe("own 7");
  });

  it("reach each sink of a fan-out, which opens the source at the lowest", async () => {
    const [one, two] = [fakeRedis(), fakeRedis()];
    await lastValueFrom(replicate({ source: log(7, downwards("p")).source, sink: sinkOf("one", one) }));
    await lastValueFrom(
      replicate({ source: log(8, downwards("p")).source, sink: sinkOf("two", two, downwards("own ")) }),
    );
    const both = log(4, downwards("p"));

    await lastValueFrom(
      replicate({
        source: both.source,
        sink: fanOut([sinkOf("one", one), sinkOf("two", two, downwards("own "))], "all"),
      }),
    );

    expect(both.opened).toEqual([{ page: 8 }]);
    expect([one.position("one", stream), two.position("two", stream)]).toEqual(["p4", "own 4"]);
    for (const redis of [one, two]) expect(ids(redis)).toEqual(["e9", "e8", "e7", "e6", "e5", "e4"]);
  });

  it("stay with a source that is made of it", async () => {
    const redis = fakeRedis();

    await lastValueFrom(
      replicateUntil(from([]), { source: log(4, downwards("p")).source, sink: sinkOf("a", redis) }),
    );

    expect(redis.position("a", stream)).toBe("p4");
  });

  it("stay with a source whose events go through operators", async () => {
    const redis = fakeRedis();
    const source = pipeSource(
      log(4, downwards("p")).source,
      filter(({ id }) => id === "e6"),
    );

    await lastValueFrom(replicate({ source, sink: sinkOf("a", redis) }));

    expect(redis.position("a", stream)).toBe("p4");
    expect(ids(redis)).toEqual(["e6"]);
  });

  it("are refused by name where their order fails", async () => {
    const compare = () => {
      throw new Error("no order");
    };
    const { source } = log(4, { ...downwards("p"), compare });

    const running = lastValueFrom(replicate({ source, sink: sinkOf("a", fakeRedis()) }));

    await expect(running).rejects.toMatchObject({
      _tag: "PositionInvalid",
      message: expect.stringContaining("positions: compare failed: no order"),
    });
  });
});

describe("a position that is a Date", () => {
  const at = (ms: number) => new Date(ms);

  it("may be set anew by whoever has given it, or was given it", async () => {
    const redis = fakeRedis();
    const acknowledged: string[] = [];
    const source = (after: Date | undefined): Observable<{ position: Date }> => {
      after?.setTime(9);
      const clock = at(0);
      return from([1, 2, 3, 4, 5, 6]).pipe(
        concatMap(async (ms) => {
          clock.setTime(ms);
          return { position: clock };
        }),
      );
    };
    const acknowledge = (position: Date) => {
      acknowledged.push(position.toISOString());
      position.setTime(8);
    };
    const sink = (maxEvents: number) =>
      redisSink<{ position: Date }, Date>({ id: "a", connection: redis, stream, batch: { maxEvents } });
    const run = (maxEvents: number, most: number) => {
      const some = (after: Date | undefined) => source(after).pipe(take(most));
      return lastValueFrom(
        replicate({ source: Object.assign(some, { acknowledge }), sink: sink(maxEvents) }),
      );
    };
    await run(1, 2);
    await run(3, 6);

    expect(redis.events(stream)).toEqual(
      [1, 2, 3, 4, 5, 6].map((ms) => JSON.stringify({ position: at(ms) })),
    );
    expect(acknowledged.at(-1)).toBe(at(6).toISOString());
  });
});

describe("a source through operators", () => {
  it("is told what is safe as itself", async () => {
    const source = Object.assign(() => from([{ position: 1 }, { position: 2 }]), {
      safe: [] as number[],
      acknowledge(position: number) {
        this.safe.push(position);
      },
    });
    const sink = redisSink<{ position: number }, number>({ id: "a", connection: fakeRedis(), stream });
    await lastValueFrom(replicate({ source, through: filter(({ position }) => position < 2), sink }));
    expect(source.safe).toEqual([2]);
  });
});
