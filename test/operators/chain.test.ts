import fc from "fast-check";
import {
  BehaviorSubject,
  concat,
  defer,
  EMPTY,
  identity,
  ignoreElements,
  map,
  Observable,
  type OperatorFunction,
  of,
  throwError,
  timer,
  VirtualTimeScheduler,
} from "rxjs";
import { describe, expect, it } from "vitest";
import {
  type BatchOptions,
  BufferOverflow,
  batch,
  boundedBuffer,
  checkpoint,
  type Fill,
  type Flow,
  inFlight,
  type Progress,
  type RetryBackoffOptions,
  retryBackoff,
} from "../../operators/index.ts";
import { marbles } from "../support/marbles.ts";

const LOADING = new Error("LOADING Redis is loading the dataset in memory");
const WRONGTYPE = new Error("WRONGTYPE Operation against a key holding the wrong kind of value");
const numbers = { a: 0, b: 1, c: 2, d: 3, e: 4, f: 5, g: 6, h: 7 };

interface ChainOptions {
  readonly send: (items: number[]) => Observable<unknown>;
  readonly window?: number;
  readonly batching?: BatchOptions<number>;
  readonly retrying?: RetryBackoffOptions;
}

/** batch → in flight (send → retry) → checkpoint, with room from the window, as a sink has it. */
function chain({
  send,
  window = 1,
  batching,
  retrying,
}: ChainOptions): OperatorFunction<number, Progress<number, number[]>> {
  return (source) =>
    defer(() => {
      const room = new BehaviorSubject(true);
      return source.pipe(
        batch({ ...batching, room }),
        inFlight((items) => send(items).pipe(map(() => items)), {
          window,
          room,
          resend: retryBackoff({ initialMs: 3, jitter: 0, ...retrying }),
        }),
        checkpoint<number[], number>(identity, identity),
      );
    });
}

const batchText = map(({ acknowledgement }: Progress<number, number[]>) => acknowledgement.join(" "));

describe("the chain of operators", () => {
  it(
    "publishes each item at once while it is idle",
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const source = hot("  -a----b----|", numbers);
      const reply = cold("   --(r|)     ");
      const expected = "    ---A----B--|";
      // biome-ignore format: marble diagrams align
      const subs = [
        "                   -^-!        ",
        "                   ------^-!   ",
      ];

      const result = source.pipe(chain({ send: () => reply }), batchText);

      expectObservable(result).toBe(expected, { A: "0", B: "1" });
      expectSubscriptions(reply.subscriptions).toBe(subs);
    }),
  );

  it(
    "fills the next batch while the window is full",
    marbles(({ hot, cold, expectObservable }) => {
      const source = hot("  abcdefgh|       ", numbers);
      const reply = cold("  ---(r|)         ");
      const expected = "    ---A--B--C--(D|)";

      const result = source.pipe(chain({ send: () => reply }), batchText);

      expectObservable(result).toBe(expected, { A: "0", B: "1 2 3", C: "4 5 6", D: "7" });
    }),
  );

  it(
    "keeps as many batches in flight as the window allows, and no batch above maxItems",
    marbles(({ hot, cold, expectObservable }) => {
      const source = hot("  a(bcdef)|      ", numbers);
      const reply = cold("  -----(r|)      ");
      const expected = "    -----AB---C(D|)";

      const result = source.pipe(
        chain({ send: () => reply, window: 2, batching: { maxItems: 2 } }),
        batchText,
      );

      expectObservable(result).toBe(expected, { A: "0", B: "1 2", C: "3 4", D: "5" });
    }),
  );

  it(
    "sends a batch again before the next one, and fills that meanwhile",
    marbles(({ hot, cold, expectObservable, expectNothingPending }) => {
      const source = hot("  abc------|", numbers);
      const first = cold("  -#        ", undefined, LOADING);
      const others = cold("     -(r|) ");
      const end = "         ^--------!";
      const expected = "    -----AB--|";
      const replies = [first];

      const result = source.pipe(chain({ send: () => replies.shift() ?? others }), batchText);

      expectObservable(result).toBe(expected, { A: "0", B: "1 2" });
      expectNothingPending(end);
    }),
  );

  it(
    "ends at once with a permanent error",
    marbles(({ hot, cold, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = hot("  ab---", numbers);
      const reply = cold("  --#  ", undefined, WRONGTYPE);
      const sub = "         ^-!  ";
      const expected = "    --#  ";

      const result = source.pipe(
        chain({ send: () => reply, retrying: { isRetryable: (error) => error !== WRONGTYPE } }),
      );

      expectObservable(result).toBe(expected, undefined, WRONGTYPE);
      expectSubscriptions(source.subscriptions).toBe(sub);
      expectNothingPending(sub);
    }),
  );

  it(
    "leaves nothing behind when unsubscribed in the backoff, with a batch waiting",
    marbles(({ hot, cold, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = hot("  abc-----", numbers);
      const reply = cold("  -#      ", undefined, LOADING);
      const subs = "        ^!      ";
      const unsub = "       ^--!    ";
      const expected = "    --------";

      const result = source.pipe(chain({ send: () => reply, batching: { lingerMs: 0, maxItems: 3 } }));

      expectObservable(result, unsub).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(unsub);
      expectSubscriptions(reply.subscriptions).toBe(subs);
      expectNothingPending(unsub);
    }),
  );
});

const released = ({ items }: Progress<number, number[]>) => ({ items, bytes: 0 });

describe("boundedBuffer around the chain", () => {
  it(
    "drains on an error of the source, then fails with it",
    marbles(({ hot, cold, expectObservable, expectSubscriptions, expectNothingPending }) => {
      const source = hot("  abc#      ", numbers, LOADING);
      const reply = cold("  ---(r|)   ");
      const sub = "         ^--!      ";
      const end = "         ^-----!   ";
      const expected = "    ---A--(B#)";

      const result = source.pipe(boundedBuffer({ released }, chain({ send: () => reply })), batchText);

      expectObservable(result).toBe(expected, { A: "0", B: "1 2" }, LOADING);
      expectSubscriptions(source.subscriptions).toBe(sub);
      expectNothingPending(end);
    }),
  );

  it(
    "drains with retries on an error of the source, then fails with it",
    marbles(({ hot, cold, expectObservable }) => {
      const source = hot("  ab#      ", numbers, WRONGTYPE);
      const first = cold("  -#       ", undefined, LOADING);
      const others = cold("     -(r|)");
      const expected = "    -----A(B#)";
      const replies = [first];

      const result = source.pipe(
        boundedBuffer({ released }, chain({ send: () => replies.shift() ?? others })),
        batchText,
      );

      expectObservable(result).toBe(expected, { A: "0", B: "1" }, WRONGTYPE);
    }),
  );

  it(
    "pauses a source while it is full, and drains before it says that one went on all the same",
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const flow = new BehaviorSubject<Flow>("resume");
      const source = hot("     abcd------", numbers);
      const reply = cold("     ---(r|)   ");
      const sub = "            ^--!      ";
      const expectedFlow = "   RP----R   ";
      const expected = "       ---A--(B#)";

      const result = source.pipe(
        boundedBuffer({ maxItems: 3, released, flow }, chain({ send: () => reply })),
        batchText,
      );

      expectObservable(flow).toBe(expectedFlow, { P: "pause", R: "resume" });
      expectObservable(result).toBe(
        expected,
        { A: "0", B: "1 2" },
        new BufferOverflow({ items: 3, bytes: 0 }),
      );
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it("makes every item safe once, in order and within its bounds, whatever fails, then ends as the source does", () => {
    const reply = fc.record({ delayMs: fc.integer({ min: 0, max: 6 }), fails: fc.boolean() });
    fc.assert(
      fc.property(
        fc.record({
          count: fc.integer({ min: 0, max: 40 }),
          gapMs: fc.integer({ min: 0, max: 2 }),
          sourceFails: fc.boolean(),
          replies: fc.array(reply, { maxLength: 30 }),
          window: fc.integer({ min: 1, max: 4 }),
          maxItems: fc.integer({ min: 1, max: 5 }),
          lingerMs: fc.integer({ min: 0, max: 4 }),
          bufferItems: fc.integer({ min: 1, max: 16 }),
        }),
        ({ count, gapMs, sourceFails, replies, window, maxItems, lingerMs, bufferItems }) => {
          const scheduler = new VirtualTimeScheduler();
          const flow = new BehaviorSubject<Flow>("resume");
          const fills: Fill[] = [];
          const progress: Progress<number, number[]>[] = [];
          const published: number[] = [];
          const ends: unknown[] = [];
          let sent = 0;

          const source = new Observable<number>((subscriber) => {
            let next = 0;
            return scheduler.schedule(function () {
              if (next === count) {
                if (sourceFails) subscriber.error(LOADING);
                else subscriber.complete();
                return;
              }
              if (flow.value === "resume") subscriber.next(next++);
              // Time passes while it is paused.
              this.schedule(undefined, flow.value === "pause" ? 1 : gapMs);
            }, 0);
          });
          // Takes each number once and in order, as the script does.
          const send = (items: number[]) =>
            defer(() => {
              const { delayMs, fails } = replies[sent++] ?? { delayMs: 1, fails: false };
              const isNext = items[0] !== undefined && items[0] <= published.length;
              if (isNext) published.push(...items.slice(published.length - (items[0] ?? 0)));
              const wait = delayMs === 0 ? EMPTY : timer(delayMs, scheduler).pipe(ignoreElements());
              return concat(wait, fails || !isNext ? throwError(() => LOADING) : of("entry ID"));
            });

          source
            .pipe(
              boundedBuffer(
                { maxItems: bufferItems, released, flow, fill: { next: (fill) => fills.push(fill) } },
                chain({ send, window, batching: { maxItems, lingerMs, scheduler }, retrying: { scheduler } }),
              ),
            )
            .subscribe({
              next: (next) => progress.push(next),
              error: (error) => ends.push(error),
              complete: () => ends.push("complete"),
            });
          scheduler.flush();

          const all = [...Array(count).keys()];
          expect(progress.flatMap(({ acknowledgement }) => acknowledgement)).toEqual(all);
          expect(progress.map(({ last }) => last)).toEqual(
            progress.map(({ acknowledgement }) => acknowledgement.at(-1)),
          );
          expect(progress.reduce((total, { items }) => total + items, 0)).toBe(count);
          expect(published).toEqual(all);
          expect(fills.filter(({ items }) => items < 0 || items > bufferItems)).toEqual([]);
          expect(ends).toEqual([sourceFails ? LOADING : "complete"]);
          expect(flow.value).toBe("resume");
        },
      ),
      { numRuns: 200 },
    );
  });
});
