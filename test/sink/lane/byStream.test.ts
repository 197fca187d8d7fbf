import {
  asapScheduler,
  concatMap,
  delay,
  map,
  NEVER,
  type Observable,
  type OperatorFunction,
  of,
  pipe,
  tap,
  throwError,
} from "rxjs";
import { describe, expect, it } from "vitest";
import { inFlight } from "../../../operators/inFlight.ts";
import type { Batch, Entry } from "../../../src/sink/encode/entry.ts";
import { byStream } from "../../../src/sink/lane/byStream.ts";
import type { PublishTo } from "../../../src/sink/lane/streamLanes.ts";
import { marbles } from "../../kit/time/marbles.ts";
import { entryWith } from "./entries.ts";

/** "a1" goes to the stream a; "a1!" is the last event of a transaction, "a1~" one before it. */
function entryOf(text: string, ordinal: number): Entry<number> {
  return entryWith(
    {
      stream: text.charAt(0),
      bytes: 1,
      id: text,
      transaction: /[~!]/.test(text) ? { id: "t", last: text.endsWith("!") } : undefined,
    },
    ordinal,
  );
}

interface Settings {
  readonly maxItems?: number;
  readonly maxLanes?: number;
  readonly window?: number;
  /** What becomes of a batch of a stream. */
  readonly send?: (stream: string, batch: string) => Observable<string>;
}

function textOf(batch: Batch<number>): string {
  return batch.map(({ id }) => id).join(" ");
}

/** What is published, as text. */
function published(
  how: Settings,
  toLane: PublishTo<number, string> = (stream, room) =>
    inFlight((batch) => (how.send ?? in5ms)(stream, textOf(batch)), { window: how.window ?? 1, room }),
): OperatorFunction<string, string> {
  const { maxItems = 10, maxLanes = 100 } = how;
  return pipe(
    map(entryOf),
    byStream(
      {
        limits: { maxItems },
        gathering: { maxItems: 100, maxBytes: 1_000_000 },
        maxLanes,
        nextTurn: (work) => {
          asapScheduler.schedule(work);
        },
      },
      toLane,
    ),
  );
}

const in5ms = (_stream: string, batch: string) => of(batch).pipe(delay(5));

const values = { a: "a1", b: "b1", c: "a2", d: "a3", e: "b2", f: "c1" };

describe("byStream", () => {
  it(
    "publishes what comes to an idle stream at once",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  a-b-----|", values);
      const expected = "     -----x-y|";
      expectObservable(source.pipe(published({}))).toBe(expected, { x: "a1", y: "b1" });
    }),
  );

  it(
    "gathers what comes without a pause, and gives each stream its share",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  (abcde)----|", values);
      const expected = "     -----(xy)--|";
      expectObservable(source.pipe(published({}))).toBe(expected, { x: "a1 a2 a3", y: "b1 b2" });
    }),
  );

  it(
    "lets a stream without room wait alone, and publishes what came meanwhile together",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  abcde--------|", values);
      const expected = "     -----xy---zw-|";
      const shares = { x: "a1", y: "b1", z: "a2 a3", w: "b2" };
      expectObservable(source.pipe(published({}))).toBe(expected, shares);
    }),
  );

  it(
    "goes on with all others when one stream hangs",
    marbles(({ cold, expectObservable }) => {
      const send = (stream: string, batch: string) => (stream === "a" ? NEVER : of(batch).pipe(delay(2)));
      const source = cold("  a-c-d-b-e-f--", values);
      const expected = "     --------x-y-z";
      expectObservable(source.pipe(published({ send, window: 4 }))).toBe(expected, {
        x: "b1",
        y: "b2",
        z: "c1",
      });
    }),
  );

  it(
    "cuts a share that is larger than a batch",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  (abcde|)", values);
      const expected = "     -----(xyz|)";
      const shares = { x: "a1 a2", y: "a3", z: "b1 b2" };
      expectObservable(source.pipe(published({ maxItems: 2, window: 4 }))).toBe(expected, shares);
    }),
  );

  it(
    "publishes a stream's part of a transaction as a whole, also where its last event is in another one",
    marbles(({ cold, expectObservable }) => {
      const source = cold("  (abcde|)", { a: "a1", b: "a2~", c: "a3~", d: "a4~", e: "b1!" });
      const expected = "     -----(xyz|)";
      const shares = { x: "a1", y: "a2~ a3~ a4~", z: "b1!" };
      expectObservable(source.pipe(published({ maxItems: 2, window: 4 }))).toBe(expected, shares);
    }),
  );

  it(
    "keeps no more lanes than it may: one that has nothing to do gives its place to another",
    marbles(({ cold, expectObservable, flush }) => {
      let open = 0;
      let most = 0;
      const source = cold("  (abf)-----(cf)-----|", values);
      const expected = "     -----(xy)-z----(vw)|";
      const shares = { x: "a1", y: "b1", z: "c1", v: "a2", w: "c1" };
      const counted: PublishTo<number, string> = () => (batches$) => {
        open += 1;
        most = Math.max(most, open);
        return batches$.pipe(
          map(textOf),
          concatMap((batch) => of(batch).pipe(delay(5))),
          tap({
            complete: () => {
              open -= 1;
            },
          }),
        );
      };
      expectObservable(source.pipe(published({ maxLanes: 2 }, counted))).toBe(expected, shares);
      flush();
      expect([most, open]).toEqual([2, 0]);
    }),
  );

  it(
    "ends with the error of a stream",
    marbles(({ cold, expectObservable }) => {
      const send = (stream: string, batch: string) =>
        stream === "b" ? throwError(() => "no") : of(batch).pipe(delay(5));
      const source = cold("  a--------b", values);
      const expected = "     -----x---#";
      expectObservable(source.pipe(published({ send }))).toBe(expected, { x: "a1" }, "no");
    }),
  );
});
