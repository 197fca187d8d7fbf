import { map, NEVER, type Observable, of, throwError } from "rxjs";
import { describe, expect, it } from "vitest";
import { watchSink } from "../../src/dashboard/index.ts";
import { rxaddError } from "../../src/errors/rxaddError.ts";
import { redisSink, type SinkStatus, type Watchable } from "../../src/index.ts";
import type { SinkObserver } from "../../src/metrics/index.ts";
import type { RedisFigures } from "../../src/telemetry/redisFigures.ts";
import type { StreamWatch } from "../../src/telemetry/watchable.ts";
import { fakeRedis } from "../../src/testing/index.ts";
import { marbles } from "../kit/time/marbles.ts";

const cause = rxaddError("Unreachable", "redis://localhost:6379: connect ECONNREFUSED");
const statuses: Readonly<Record<string, SinkStatus>> = {
  c: { state: "connecting" },
  p: { state: "publishing" },
  r: { state: "retrying", attempt: 1, delayMs: 100, cause },
};

/** A sink that says what `statuses$` does. */
function saying(
  statuses$: Observable<SinkStatus>,
  openWatch: () => StreamWatch | undefined = () => undefined,
) {
  let watchers = 0;
  const sink: Watchable = {
    id: "shop",
    openWatch,
    watch: ({ status }: SinkObserver) => {
      watchers += 1;
      const saying = statuses$.subscribe(status);
      saying.add(() => {
        watchers -= 1;
      });
      return saying;
    },
  };
  return { sink, watchers: () => watchers };
}

const figures: RedisFigures = { atMs: 0, memoryBytes: 1, maxMemoryBytes: 0, streams: [] };

describe("watchSink", () => {
  it(
    "tells the numbers every everyMs, and a change of state at once",
    marbles(({ hot, expectObservable }) => {
      const source = hot("  30ms c 29ms         p 59ms         r", statuses);
      const sub = "         ^ 139ms !";
      const expected = "    s 29ms c 19ms c 9ms p 39ms p 19ms r";

      const { snapshot$ } = watchSink(saying(source).sink, { everyMs: 50 });

      expectObservable(snapshot$.pipe(map(({ state }) => state.name[0])), sub).toBe(expected);
    }),
  );

  it(
    "tells many changes within 20 ms in two values",
    marbles(({ hot, expectObservable }) => {
      const source = hot("  -crcrcrcrp----------------------", statuses);
      const expected = "    sc 19ms                p-------";
      const sub = "         ^-------------------------------!";

      const { snapshot$ } = watchSink(saying(source).sink, { everyMs: 1000 });

      expectObservable(snapshot$.pipe(map(({ state }) => state.name[0])), sub).toBe(expected);
    }),
  );

  it("is shared by all who look, and stops with the last", () => {
    const { sink, watchers } = saying(NEVER);
    const { snapshot$ } = watchSink(sink);
    const looking = [snapshot$.subscribe(), snapshot$.subscribe()];
    const during = watchers();
    for (const one of looking) one.unsubscribe();

    expect([during, watchers()]).toEqual([1, 0]);
  });

  it("tells one who comes late how the sink stands", () => {
    const sink = redisSink<{ position: number }, number>({
      id: "shop",
      connection: fakeRedis(),
      stream: "orders",
    });
    const told: string[] = [];
    sink.report({ state: "opened", stream: "orders", epoch: 2, position: undefined, foreignEntries: 0 });
    sink.report({ state: "retrying", attempt: 1, delayMs: 1, cause });
    sink.report({ state: "warning", message: "of no consequence" });

    sink
      .watch({ status: ({ state }) => told.push(state), published: () => {}, buffered: () => {} })
      .unsubscribe();
    sink.report({ state: "publishing" });

    expect(told).toEqual(["opened", "retrying"]);
  });

  it(
    "asks Redis every redisEveryMs, and closes that connection at the end",
    marbles(({ hot, expectObservable, flush }) => {
      let closed = 0;
      const asked: (readonly string[])[] = [];
      const openWatch = () => ({
        look: (streams: readonly string[]) => {
          asked.push(streams);
          return asked.length === 2 ? throwError(() => cause) : of(figures);
        },
        failure$: hot<never>("-----#", undefined, cause),
        unsubscribe: () => {
          closed += 1;
        },
      });
      const opened: SinkStatus = {
        state: "opened",
        stream: "orders",
        epoch: 1,
        position: undefined,
        foreignEntries: 0,
      };
      const source = hot("  --o---------", { o: opened });
      // At 0 of no stream; at 4, when the first look is 4 ms ago, of one, which fails; at 8 again.
      const expected = "    f-------f---";
      const sub = "         ^----------!";

      const { redisFigures$ } = watchSink(saying(source, openWatch).sink, { redisEveryMs: 4 });
      expectObservable(redisFigures$, sub).toBe(expected, { f: figures });
      flush();

      expect(asked).toEqual([[], ["orders"], ["orders"]]);
      expect(closed).toBe(1);
    }),
  );

  it("has nothing to say of a Redis in memory", () => {
    const sink = redisSink({ id: "shop", connection: fakeRedis(), stream: "orders" });
    let isDone = false;
    watchSink(sink).redisFigures$.subscribe({
      complete: () => {
        isDone = true;
      },
    });
    expect(isDone).toBe(true);
  });
});
