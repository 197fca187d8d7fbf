import {
  Observable,
  type Observer,
  type OperatorFunction,
  type Subscriber,
  Subscription,
  takeWhile,
  tap,
} from "rxjs";
import type { Flow } from "./flow.ts";

/** How much is in a {@link boundedBuffer}. */
export interface Fill {
  readonly items: number;
  readonly bytes: number;
}

/** A source went on although the buffer was full. */
export class BufferOverflow extends Error {
  override readonly name = "BufferOverflow";
  readonly fill: Fill;

  constructor(fill: Fill) {
    super(`the buffer is full with ${fill.items} items, ${fill.bytes} bytes, and the source goes on`);
    this.fill = fill;
  }
}

/** The bounds of a {@link boundedBuffer}. */
export interface BoundedBufferOptions<T, R> {
  /** Most items inside, >= 1. Default 20,000. */
  readonly maxItems?: number;
  /** Most bytes inside by `sizeOf`, >= 1. Default 64 MiB. */
  readonly maxBytes?: number;
  /** The size of an item in bytes. Default 0: bytes do not count. */
  readonly sizeOf?: (item: T) => number;
  /** What a result says has left. */
  readonly released: (result: R) => Fill;
  /** Told to pause at half of a bound, and to resume at a quarter or at the end of the subscription. */
  readonly flow?: Pick<Observer<Flow>, "next">;
  /** Told how much is inside whenever that shrinks, has grown by a tenth, or the flow changes. */
  readonly fill?: Pick<Observer<Fill>, "next">;
}

/**
 * Bounds how many items are inside a chain at once: pauses the source in time, and fails rather than
 * grow or drop when the source does not listen.
 *
 * ```
 * source     -abc---d---|     maxItems 4; chain: each item leaves after 5 ms
 * flow       --P-----R---     P: pause at 2 inside, R: resume at 1
 * result     ------abc---(d|)
 * ```
 *
 * - **Errors** {@link BufferOverflow} when an item arrives and a bound is reached. It, and an error of
 *   the source, comes out only after the chain has drained what came before.
 * - **Completion** of the source completes the chain's input; the result completes with the chain.
 * - **Teardown** unsubscribes the source and the chain.
 *
 * @param chain - what items go through; each of its results releases some of them
 *
 * @example
 * ```ts
 * const flow = new BehaviorSubject<Flow>("resume");
 * lines$(flow).pipe(boundedBuffer({ maxItems: 1000, flow, released: () => ({ items: 1, bytes: 0 }) }, concatMap(save)));
 * ```
 */
export function boundedBuffer<T, R>(
  options: BoundedBufferOptions<T, R>,
  chain: OperatorFunction<T, R>,
): OperatorFunction<T, R> {
  const { maxItems = 20_000, maxBytes = 64 * 1024 * 1024, sizeOf = () => 0, released, flow, fill } = options;

  return (source) =>
    new Observable((subscriber) => {
      // One chain subscribes, once: a Subject would make a closure for each item.
      let input: Subscriber<T> | undefined;
      const input$ = new Observable<T>((entering) => {
        input = entering;
      });
      const reading = new Subscription();
      let items = 0;
      let bytes = 0;
      let isPaused = false;
      let toldItems = 0;
      let failure: { readonly error: unknown } | undefined;

      function tellFill(): void {
        toldItems = items;
        fill?.next({ items, bytes });
      }

      function regulate(): void {
        const share = Math.max(items / maxItems, bytes / maxBytes);
        if (isPaused ? share > 0.25 : share < 0.5) {
          if (items > toldItems * 1.1) tellFill();
          return;
        }
        isPaused = !isPaused;
        tellFill();
        flow?.next(isPaused ? "pause" : "resume");
      }

      function fail(error: unknown): void {
        failure = { error };
        reading.unsubscribe();
        // Drains the chain; its completion brings the failure out.
        input?.complete();
      }

      function accept(item: T): void {
        const size = sizeOf(item);
        if (items >= maxItems || (items > 0 && bytes + size > maxBytes)) {
          fail(new BufferOverflow({ items, bytes }));
          return;
        }
        items += 1;
        bytes += size;
        regulate();
        input?.next(item);
      }

      function release(result: R): void {
        const left = released(result);
        items -= left.items;
        bytes -= left.bytes;
        tellFill();
        subscriber.next(result);
        if (!subscriber.closed) regulate();
      }

      // Both work in `tap`, so that what a callback throws comes out as an error.
      subscriber.add(
        chain(input$)
          .pipe(tap(release))
          .subscribe({
            error: (error) => subscriber.error(error),
            complete: () => {
              if (failure === undefined) subscriber.complete();
              else subscriber.error(failure.error);
            },
          }),
      );
      subscriber.add(reading);
      reading.add(
        source
          .pipe(
            takeWhile(() => !reading.closed),
            tap(accept),
          )
          .subscribe({ error: fail, complete: () => input?.complete() }),
      );
      // Or the next subscription would wait for ever for a source that is still told to pause.
      subscriber.add(() => {
        if (isPaused) flow?.next("resume");
      });
    });
}
