import { lastValueFrom, Subject, tap } from "rxjs";
import { describe, expect, it } from "vitest";
import { type Checkpoint, redisSink, type SinkOptions } from "../../src/index.ts";
import { fakeRedis } from "../../src/testing/index.ts";

/** More than fit into the memory that is written again. */
const text = (name: string, index: number) => `${name}${index}:`.padEnd(300, name);
const texts = (name: string, count: number) => Array.from({ length: count }, (_, index) => text(name, index));

describe("an event that makes the source emit when it is asked", () => {
  it.each(["encode", "id", "time", "stream"] as const)(
    "for %s comes after those, as it was",
    async (asked) => {
      const redis = fakeRedis({ latencyMs: 0 });
      const source = new Subject<string>();
      const [early, within, late] = [texts("e", 6000), texts("w", 9000), texts("l", 9000)];
      const ask = <A>(what: string, answer: (event: string) => A): ((event: string) => A) => {
        return (event) => {
          if (what === asked && event === "outer") for (const inner of within) source.next(inner);
          return answer(event);
        };
      };
      const options = {
        ...{ id: "shop", stream: ask("stream", () => "orders") },
        ...{ connection: redis, buffer: { maxEvents: 100_000, overflow: "dropNewest" }, window: 1 },
        event: {
          encode: ask("encode", (event) => event),
          id: ask("id", () => undefined),
          time: ask("time", () => undefined),
        },
        metrics: { checkpoint: () => {} },
      } satisfies SinkOptions<string, never>;
      let events = 0;
      const goOn = ({ events: safe }: Checkpoint<never>) => {
        events += safe;
        // In the memory that has become free.
        for (const event of late.slice(events - safe, events)) source.next(event);
        if (events >= late.length) source.complete();
      };
      const done = lastValueFrom(source.pipe(redisSink<string, never>(options), tap(goOn)));
      for (const event of [...early, "outer"]) source.next(event);
      await done;

      expect(redis.events("orders")).toEqual([...early, ...within, "outer", ...late]);
      expect(events).toBe(24_001);
    },
  );
});
