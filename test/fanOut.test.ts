import { getOrElse } from "fp-ts/lib/Option.js";
import { EMPTY, interval, map, scan, switchMap, takeWhile, tap } from "rxjs";
import { describe, expect, it } from "vitest";
import { fanOut, redisSink, replicate, type Source } from "../src/index.ts";
import { type FakeRedis, fakeRedis } from "../src/testing/index.ts";
import { marbles } from "./support/marbles.ts";

interface Numbered {
  readonly position: number;
}

const stream = "orders";
const count = 3000;

/** So many numbers, one a millisecond, that stop when they are told to. */
function paced(): Source<Numbered, number> & { readonly emitted: () => number } {
  let emitted = 0;
  const source: Source<Numbered, number> = (from, flow) =>
    flow.pipe(
      switchMap((signal) => (signal === "pause" ? EMPTY : interval(1))),
      scan((position) => position + 1, getOrElse(() => 0)(from)),
      takeWhile((position) => position < count, true),
      tap(() => {
        emitted += 1;
      }),
      map((position) => ({ position })),
    );
  return Object.assign(source, { emitted: () => emitted });
}

function sink(id: string, connection: FakeRedis) {
  const retry = { initialMs: 100, maxMs: 500, jitter: 0 };
  return redisSink<Numbered, number>({ id, connection, stream, retry });
}

describe("fanOut with a quorum", () => {
  it(
    "waits for a sink that it needs, when another one has failed, with the source paused",
    marbles(({ expectObservable, flush }) => {
      const [one, two, three] = [fakeRedis(), fakeRedis({ replies: "x 5s o" }), fakeRedis()];
      three.set(stream);
      const sinks = [sink("one", one), sink("two", two), sink("three", three)];
      const source = paced();
      const checkpoints: unknown[] = [];
      const replicating$ = replicate({
        source,
        sink: fanOut(sinks, { quorum: 2 }, { patienceMs: 50, maxLateEvents: 1000 }),
      }).pipe(tap(({ position }) => checkpoints.push(position)));

      expectObservable(replicating$.pipe(switchMap(() => EMPTY)), "^ 20s !");
      flush();

      expect(checkpoints.at(-1)).toBe(count);
      expect([one.entries(stream).length, two.entries(stream).length]).toEqual([count, count]);
      expect(source.emitted()).toBe(count);
    }),
  );

  it(
    "holds the source while a sink that it needs is away, however long",
    marbles(({ expectObservable, flush }) => {
      // Both were there when the source was opened; then the one that is needed goes.
      const [one, two, three] = [
        fakeRedis(),
        fakeRedis({ replies: "o 99ms x 9s o" }),
        fakeRedis({ replies: "o 199ms f" }),
      ];
      const sinks = [sink("one", one), sink("two", two), sink("three", three)];
      const source = paced();
      const checkpoints: unknown[] = [];
      const replicating$ = replicate({
        source,
        sink: fanOut(sinks, { quorum: 2 }, { patienceMs: 50, maxLateEvents: 1000 }),
      }).pipe(tap(({ position }) => checkpoints.push(position)));

      expectObservable(replicating$.pipe(switchMap(() => EMPTY)), "^ 30s !");
      flush();

      expect(checkpoints.at(-1)).toBe(count);
      expect([one.entries(stream).length, two.entries(stream).length]).toEqual([count, count]);
    }),
  );
});
