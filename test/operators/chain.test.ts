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
  pipe,
  tap,
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
  spread,
  type TransactionMark,
} from "../../operators/index.ts";
import { marbles } from "../kit/time/marbles.ts";

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

interface Piece {
  readonly n: number;
  readonly bytes: number;
  readonly mark: TransactionMark | undefined;
}

const pages = fc
  .array(
    fc.record({
      kind: fc.constantFrom("alone", "marked", "open"),
      sizes: fc.array(fc.integer({ min: 0, max: 80 }), { minLength: 1, maxLength: 12 }),
      // After which of its items a page ends.
      pageEnds: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
    }),
    { maxLength: 10 },
  )
  .map((transactions) => {
    const pages: Piece[][] = [[]];
    let n = 0;
    for (const [index, { kind, sizes, pageEnds }] of transactions.entries()) {
      for (const [at, bytes] of sizes.entries()) {
        const last = kind === "marked" ? { last: at === sizes.length - 1 } : {};
        pages.at(-1)?.push({ n, bytes, mark: kind === "alone" ? undefined : { id: `t${index}`, ...last } });
        if (pageEnds[at] === true) pages.push([]);
        n += 1;
      }
    }
    return pages;
  });

/** Pages that come one after the other, and not while `flow` says pause. */
function paged(pages: readonly Piece[][], flow: BehaviorSubject<Flow>, scheduler: VirtualTimeScheduler) {
  return new Observable<readonly Piece[]>((subscriber) => {
    let next = 0;
    return scheduler.schedule(function () {
      const page = pages[next];
      if (page === undefined) {
        subscriber.complete();
        return;
      }
      if (flow.value === "resume") {
        next += 1;
        subscriber.next(page);
      }
      this.schedule(undefined, 1);
    }, 0);
  });
}

describe("boundedBuffer around the chain, with a source that heeds flow,", () => {
  it("never overflows, loses, reorders or waits for ever, whatever the sizes of buffer, page, item and transaction", () => {
    const reply = fc.record({ delayMs: fc.integer({ min: 0, max: 6 }), fails: fc.boolean() });
    fc.assert(
      fc.property(
        fc.record({
          pages,
          replies: fc.array(reply, { maxLength: 30 }),
          window: fc.integer({ min: 1, max: 4 }),
          maxItems: fc.integer({ min: 1, max: 8 }),
          lingerMs: fc.integer({ min: 0, max: 4 }),
          bufferItems: fc.integer({ min: 1, max: 16 }),
          bufferBytes: fc.integer({ min: 1, max: 120 }),
        }),
        ({ pages, replies, window, maxItems, lingerMs, bufferItems, bufferBytes }) => {
          const scheduler = new VirtualTimeScheduler();
          const flow = new BehaviorSubject<Flow>("resume");
          const room = new BehaviorSubject(true);
          const published: Piece[] = [];
          const late: Piece[] = [];
          const fills: Fill[] = [];
          const ends: unknown[] = [];
          let acknowledged = 0;
          let sent = 0;

          // Takes each item once and in order, as the script does.
          const send = (items: readonly Piece[]) =>
            defer(() => {
              const { delayMs, fails } = replies[sent++] ?? { delayMs: 1, fails: false };
              const first = items[0]?.n ?? 0;
              const isNext = first <= published.length;
              if (isNext) published.push(...items.slice(published.length - first));
              const wait = delayMs === 0 ? EMPTY : timer(delayMs, scheduler).pipe(ignoreElements());
              return concat(wait, fails || !isNext ? throwError(() => LOADING) : of(items));
            });

          paged(pages, flow, scheduler)
            .pipe(
              spread(flow),
              tap((piece) => flow.value === "pause" && late.push(piece)),
              boundedBuffer(
                {
                  maxItems: bufferItems,
                  maxBytes: bufferBytes,
                  sizeOf: ({ bytes }) => bytes,
                  released: ({ items, acknowledgement }: Progress<Piece, readonly Piece[]>) => ({
                    items,
                    bytes: acknowledgement.reduce((sum, { bytes }) => sum + bytes, 0),
                  }),
                  flow,
                  fill: { next: (fill) => fills.push(fill) },
                },
                pipe(
                  batch({
                    // As a sink has it: at half of the buffer the source pauses, and more would not come.
                    maxItems: Math.max(1, Math.min(maxItems, Math.floor(bufferItems / 4))),
                    maxBytes: Math.max(1, bufferBytes / 4),
                    maxTransactionItems: bufferItems / 4,
                    maxTransactionBytes: bufferBytes / 4,
                    sizeOf: ({ bytes }) => bytes,
                    transactionOf: ({ mark }) => mark,
                    lingerMs,
                    room,
                    scheduler,
                  }),
                  inFlight(send, {
                    window,
                    room,
                    resend: retryBackoff({ initialMs: 3, jitter: 0, scheduler }),
                  }),
                  checkpoint(
                    (items) => items,
                    ({ n }: Piece) => n,
                  ),
                ),
              ),
            )
            .subscribe({
              next: ({ items }) => {
                acknowledged += items;
              },
              error: (error) => ends.push(error),
              complete: () => ends.push("complete"),
            });
          // A pause that never ends would go on for ever.
          scheduler.maxFrames = 100_000;
          scheduler.flush();

          const all = pages.flat();
          const largest = Math.max(0, ...all.map(({ bytes }) => bytes));
          expect(ends).toEqual(["complete"]);
          expect(published).toEqual(all);
          expect(acknowledged).toBe(all.length);
          expect(late).toEqual([]);
          expect(fills.filter(({ items }) => items > bufferItems)).toEqual([]);
          expect(
            fills.filter(({ bytes }) => bytes > Math.max(bufferBytes, bufferBytes / 2 + largest)),
          ).toEqual([]);
          expect(flow.value).toBe("resume");
        },
      ),
      { numRuns: 300 },
    );
  });
});
