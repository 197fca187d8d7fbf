import { from, lastValueFrom, NEVER, Subject } from "rxjs";
import { describe, expect, it } from "vitest";
import {
  type Checkpoint,
  publisher,
  redisSink,
  replicate,
  type SinkOptions,
  type SinkStatus,
} from "../../src/index.ts";
import { fakeRedis } from "../../src/testing/index.ts";
import { failureOf } from "../kit/program/failureOf.ts";
import { marbles } from "../kit/time/marbles.ts";

interface Click {
  readonly n: number;
  readonly position?: number;
}

type Settings = Partial<SinkOptions<Click, number>>;

function sinkOf(settings: Settings) {
  const shared = { id: "clicks", stream: "clicks", retry: { jitter: 0 }, batch: { maxEvents: 2 } };
  return redisSink<Click, number>({ ...shared, ...settings } as SinkOptions<Click, number>);
}

describe("what follows when a source that cannot pause fills the buffer", () => {
  it.each([
    {
      overflow: "dropNewest",
      published: [1, 2, 3, 4, 5, 6, 7, 8, 21],
      dropped: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    },
    {
      overflow: "dropOldest",
      published: [1, 2, 3, 4, 17, 18, 19, 20, 21],
      dropped: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    },
  ] as const)(
    "is, with $overflow, that events are dropped, and told",
    async ({ overflow, published, dropped }) => {
      await marbles(({ flush, cold }) => {
        const redis = fakeRedis({ replies: "x 100ms o" });
        const events = new Subject<Click>();
        const statuses: SinkStatus[] = [];
        const checkpoints: Checkpoint<number>[] = [];
        const status = { next: (now: SinkStatus) => statuses.push(now) };
        events
          .pipe(sinkOf({ connection: redis, buffer: { maxEvents: 8, overflow }, status }))
          .subscribe((checkpoint) => checkpoints.push(checkpoint));
        cold("50ms a 300ms b|").subscribe((when) => {
          const [first, last] = when === "a" ? [1, 20] : [21, 21];
          for (let n = first; n <= last; n += 1) events.next({ n });
        });
        flush();

        expect(redis.events("clicks").map((event) => JSON.parse(event).n)).toEqual(published);
        const drops = statuses.flatMap((now) => (now.state === "dropped" ? [now.events] : []));
        expect(drops).toEqual(dropped);
        // What was dropped is no part of a checkpoint.
        expect(checkpoints.reduce((sum, { events: safe }) => sum + safe, 0)).toBe(published.length);
      })();
    },
  );

  it("is told of the first drop at once, then of a tenth of the buffer at a time, and of the rest when it is over", async () => {
    await marbles(({ flush, cold }) => {
      const redis = fakeRedis({ replies: "x 100ms o" });
      const events = new Subject<Click>();
      const drops: number[] = [];
      const status = { next: (now: SinkStatus) => now.state === "dropped" && drops.push(now.events) };
      events
        .pipe(sinkOf({ connection: redis, buffer: { maxEvents: 100, overflow: "dropNewest" }, status }))
        .subscribe();
      cold("50ms a|").subscribe(() => {
        for (let n = 1; n <= 125; n += 1) events.next({ n });
      });
      flush();

      expect(drops).toEqual([1, 10, 10, 4]);
    })();
  });

  it("is an error where one owner would have a hole before its position", async () => {
    for (const overflow of ["dropOldest", "dropNewest"] as const) {
      const buffer = { overflow };
      expect(() => sinkOf({ connection: fakeRedis(), buffer, writers: "one" })).toThrow(
        `buffer.overflow: found ${overflow} with writers: one, expected error: what is dropped would be a hole before the position`,
      );
      const sink = sinkOf({ connection: fakeRedis(), buffer });
      const resuming = replicate<Click, number>({ source: () => NEVER, sink });
      expect(await failureOf(resuming)).toMatchObject({ _tag: "ConfigurationInvalid" });
      const events = new Subject<Click>();
      const placed = failureOf(events.pipe(sinkOf({ connection: fakeRedis(), buffer })));
      events.next({ n: 1, position: 1 });
      expect(await placed).toMatchObject({
        _tag: "PositionInvalid",
        message: expect.stringContaining("event 0: found position 1, expected none"),
      });
    }
  });

  it("says of an array that is handed over at once how it goes in as there is room", async () => {
    const redis = fakeRedis();
    const sink = () => sinkOf({ connection: redis, buffer: { maxEvents: 10 } });
    const events = Array.from({ length: 50 }, (_, n) => ({ n }));

    await expect(lastValueFrom(from(events).pipe(sink()))).rejects.toThrow(
      /the buffer is full with 10 items, .* an array .* goes in as there is room by publisher\(sink\)\.publishAll or fromIterable/,
    );
    expect(redis.entries("clicks")).toHaveLength(10);

    const calls = publisher(sink());
    await calls.publishAll(events.slice(10));
    await calls.close();
    expect(redis.events("clicks").map((text) => JSON.parse(text))).toEqual(events);
  });

  it("is refused where it is no such word", () => {
    const buffer = { overflow: "drop" as "dropOldest" };
    expect(() => sinkOf({ connection: fakeRedis(), buffer })).toThrow(/buffer\.overflow: found "?drop"?/);
  });
});
