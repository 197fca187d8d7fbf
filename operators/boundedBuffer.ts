import {
  Observable,
  type Observer,
  type OperatorFunction,
  type Subscriber,
  Subscription,
  takeWhile,
  tap,
} from "rxjs";
import { checkNumbers, checkSize } from "./checkNumber.ts";
import type { Flow } from "./flow.ts";

/** How much is in a {@link boundedBuffer}. */
export interface Fill {
  readonly items: number;
  readonly bytes: number;
}

/** A source went on although it was told to pause, until the buffer was full. */
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
  /** The size of an item in bytes, 0 or more. Default 0: bytes do not count. */
  readonly sizeOf?: (item: T) => number;
  /** What a result says has left. */
  readonly released: (result: R) => Fill;
  /**
   * Told to pause at half of a bound, from within the emission that reaches it, and to resume at a quarter or at the
   * end of the subscription. The source may go on from within being told to resume.
   */
  readonly flow?: Pick<Observer<Flow>, "next">;
  /**
   * What becomes of an item that does not fit: `error` ends the result; `dropNewest` drops it; `dropOldest` drops the one
   * that waits longest in its place. Half of the bounds goes into the chain, of which nothing is dropped. Default `error`.
   */
  readonly overflow?: "error" | "dropOldest" | "dropNewest";
  /** Told of each item that is dropped. */
  readonly dropped?: Pick<Observer<T>, "next">;
  /** Told of an overflow at once; the result ends with it only when the chain has drained. */
  readonly overflowed?: Pick<Observer<BufferOverflow>, "next">;
  /** Told how much is inside whenever that shrinks, has grown by a tenth, or the flow changes. */
  readonly fill?: Pick<Observer<Fill>, "next">;
}

/**
 * Bounds how many items are inside a chain at once: pauses the source in time, and fails rather than
 * grow when the source does not listen, or drops items if it is told to.
 *
 * ```
 * source     -abc---d---|     maxItems 4; chain: each item leaves after 5 ms
 * flow       --P-----R---     P: pause at 2 inside, R: resume at 1
 * result     ------abc---(d|)
 * ```
 *
 * - **A source that heeds `flow`** at once, as `fromReadable` and `spread` do, never overflows, whatever its items weigh:
 *   an item that comes while nothing told it to pause is always taken. For one with more on its way there is the other half.
 * - **Memory** at most the bounds; half of `maxBytes` and one item, where that is more.
 * - **For one that cannot pause**, such as a Subject, `overflow` may say to drop. What is left keeps its order.
 * - **Errors** {@link BufferOverflow} when an item comes after a pause and does not fit, unless one is dropped. It, an error of the source, and a
 *   `sizeOf` that throws or finds no number from 0 on come out only after the chain has drained what came before.
 *   What the other callbacks throw ends the result at once. Bounds that are no numbers throw a `RangeError` at once.
 * - **The chain** subscribes to its input once; what comes before that waits, within the bounds. A second subscription
 *   fails: use `share` within.
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
  const { maxItems = 20_000, maxBytes = 64 * 1024 * 1024 } = options;
  checkNumbers("boundedBuffer", { maxItems, maxBytes }, 1);
  const settings = { ...options, maxItems, maxBytes };
  return (source) => new Observable((subscriber) => new Bounded(settings, subscriber).connect(source, chain));
}

type Settings<T, R> = BoundedBufferOptions<T, R> &
  Required<Pick<BoundedBufferOptions<T, R>, "maxItems" | "maxBytes">>;

/** One subscription. */
class Bounded<T, R> {
  readonly #settings: Settings<T, R>;
  readonly #subscriber: Subscriber<R>;
  readonly #input = new Input<T>();
  readonly #level: Level;
  readonly #reading = new Subscription();
  /** With `dropOldest`, what is not in the chain yet. */
  readonly #waiting = new Waiting<T>();
  #failure: { readonly error: unknown } | undefined;

  constructor(settings: Settings<T, R>, subscriber: Subscriber<R>) {
    this.#settings = settings;
    this.#subscriber = subscriber;
    this.#level = new Level(settings.maxItems, settings.maxBytes, settings.fill, settings.flow);
  }

  connect(source: Observable<T>, chain: OperatorFunction<T, R>): void {
    const subscriber = this.#subscriber;
    const reading = this.#reading;
    // Both work in an operator, so that what a callback throws comes out as an error.
    subscriber.add(
      chain(this.#input.items$)
        .pipe(tap((result) => this.#release(result)))
        .subscribe({
          error: (error) => subscriber.error(error),
          complete: () => {
            if (this.#failure === undefined) subscriber.complete();
            else subscriber.error(this.#failure.error);
          },
        }),
    );
    subscriber.add(reading);
    if (reading.closed) return;
    reading.add(
      source
        .pipe(
          takeWhile((item) => {
            if (reading.closed) return false;
            this.#accept(item);
            return true;
          }),
        )
        .subscribe({ error: (error) => this.#fail(error), complete: () => this.#end() }),
    );
    // Or the next subscription would wait for ever for a source that is still told to pause.
    subscriber.add(() => this.#level.resume());
  }

  #accept(item: T): void {
    const { sizeOf, dropped, overflow } = this.#settings;
    const size = sizeOf === undefined ? 0 : checkSize("boundedBuffer", "sizeOf", sizeOf(item));
    const gone = this.#level.takes(size) ? none : this.#makeRoom(size);
    if (gone === undefined) {
      if (overflow === "dropNewest" || overflow === "dropOldest") dropped?.next(item);
      else this.#overflow(new BufferOverflow(this.#level.fill));
      return;
    }
    const waits =
      overflow === "dropOldest" && !(this.#waiting.isEmpty && this.#level.isBelowHalf(this.#waiting));
    this.#level.add(size);
    if (waits) this.#waiting.add(item, size);
    else this.#input.next(item);
    // After the item, lest what the source does when it is told overtakes it.
    for (const one of gone) dropped?.next(one);
    if (!this.#subscriber.closed) this.#level.regulate();
  }

  /** Takes out what waits longest until an item of this size fits; undefined: it would not if nothing waited. */
  #makeRoom(size: number): readonly T[] | undefined {
    if (!this.#level.fits(size, this.#waiting)) return undefined;
    const gone: T[] = [];
    while (!this.#level.takes(size)) {
      const oldest = this.#waiting.take();
      if (oldest === undefined) break;
      this.#level.drop(oldest.size);
      gone.push(oldest.item);
    }
    return gone;
  }

  #release(result: R): void {
    const left = this.#settings.released(result);
    this.#level.remove(
      checkSize("boundedBuffer", "released.items", left.items),
      checkSize("boundedBuffer", "released.bytes", left.bytes),
    );
    this.#subscriber.next(result);
    this.#feed();
    if (!this.#subscriber.closed) this.#level.regulate();
  }

  /** Gives the chain what waits, up to half of the bounds. */
  #feed(): void {
    while (!this.#subscriber.closed && this.#level.isBelowHalf(this.#waiting)) {
      const next = this.#waiting.take();
      if (next === undefined) break;
      this.#input.next(next.item);
    }
  }

  #overflow(error: BufferOverflow): void {
    // First: whoever is told may make the source go on.
    this.#reading.unsubscribe();
    try {
      this.#settings.overflowed?.next(error);
    } catch (thrown) {
      this.#fail(thrown);
      return;
    }
    this.#fail(error);
  }

  #fail(error: unknown): void {
    this.#failure = { error };
    this.#reading.unsubscribe();
    // Drains the chain; its completion brings the failure out.
    this.#end();
  }

  /** All that waits goes first: the chain may have to see its end before it lets go of anything. */
  #end(): void {
    for (let next = this.#waiting.take(); next !== undefined; next = this.#waiting.take())
      this.#input.next(next.item);
    this.#input.end();
  }
}

const none: readonly never[] = [];

/** What goes into the chain. Not a Subject, which would make a closure for each item. */
class Input<T> {
  /** What came before the chain subscribed. */
  readonly #early: T[] = [];
  #chain: Subscriber<T> | undefined;
  #isSubscribed = false;
  #hasEnded = false;

  readonly items$ = new Observable<T>((chain) => {
    if (this.#isSubscribed)
      throw new Error("boundedBuffer: the chain subscribes to its input twice, expected once");
    this.#isSubscribed = true;
    // Also what comes while they go in.
    for (const item of this.#early) chain.next(item);
    this.#early.length = 0;
    this.#chain = chain;
    if (this.#hasEnded) chain.complete();
  });

  next(item: T): void {
    if (this.#chain === undefined) this.#early.push(item);
    else this.#chain.next(item);
  }

  end(): void {
    this.#hasEnded = true;
    this.#chain?.complete();
  }
}

/** What waits in front of a chain, the oldest first. */
class Waiting<T> implements Fill {
  readonly #queue: { readonly item: T; readonly size: number }[] = [];
  /** Those before it are gone. */
  #first = 0;
  #bytes = 0;

  get items(): number {
    return this.#queue.length - this.#first;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.items === 0;
  }

  add(item: T, size: number): void {
    this.#queue.push({ item, size });
    this.#bytes += size;
  }

  take(): { readonly item: T; readonly size: number } | undefined {
    const oldest = this.#queue[this.#first];
    if (oldest === undefined) return undefined;
    this.#first += 1;
    this.#bytes -= oldest.size;
    // Now and then, as to move all others costs as much as there are.
    if (this.#first > this.#queue.length / 2) {
      this.#queue.splice(0, this.#first);
      this.#first = 0;
    }
    return oldest;
  }
}

const nothing: Fill = { items: 0, bytes: 0 };

/** How much is inside, and what the source is told of that. */
class Level {
  readonly #maxItems: number;
  readonly #maxBytes: number;
  readonly #told: Pick<Observer<Fill>, "next"> | undefined;
  readonly #flow: Pick<Observer<Flow>, "next"> | undefined;
  #items = 0;
  #bytes = 0;
  #toldItems = 0;
  #isPaused = false;

  constructor(
    maxItems: number,
    maxBytes: number,
    told: Pick<Observer<Fill>, "next"> | undefined,
    flow: Pick<Observer<Flow>, "next"> | undefined,
  ) {
    this.#maxItems = maxItems;
    this.#maxBytes = maxBytes;
    this.#told = told;
    this.#flow = flow;
  }

  get fill(): Fill {
    return { items: this.#items, bytes: this.#bytes };
  }

  /** Whether what is inside, but for what waits, is less than half of each bound. */
  isBelowHalf(waiting: Fill): boolean {
    return (
      this.#items - waiting.items < this.#maxItems / 2 && this.#bytes - waiting.bytes < this.#maxBytes / 2
    );
  }

  /** Nothing that comes before the first word to pause is too much. */
  takes(size: number): boolean {
    return !this.#isPaused || this.fits(size, nothing);
  }

  /** Whether it is within the bounds without these. */
  fits(size: number, without: Fill): boolean {
    return (
      this.#items - without.items < this.#maxItems && this.#bytes - without.bytes + size <= this.#maxBytes
    );
  }

  /** One in whose place another one comes. */
  drop(size: number): void {
    this.#items -= 1;
    this.#bytes -= size;
  }

  add(size: number): void {
    this.#items += 1;
    this.#bytes += size;
  }

  remove(items: number, bytes: number): void {
    this.#items = Math.max(0, this.#items - items);
    this.#bytes = Math.max(0, this.#bytes - bytes);
    this.#tell();
  }

  /** Tells the source to pause or to resume, where it is time for that. */
  regulate(): void {
    const share = Math.max(this.#items / this.#maxItems, this.#bytes / this.#maxBytes);
    if (this.#isPaused ? share > 0.25 : share < 0.5) {
      if (this.#items > this.#toldItems * 1.1) this.#tell();
      return;
    }
    this.#isPaused = !this.#isPaused;
    this.#tell();
    this.#flow?.next(this.#isPaused ? "pause" : "resume");
  }

  /** Takes a pause back, whatever is inside. */
  resume(): void {
    if (this.#isPaused) this.#flow?.next("resume");
  }

  #tell(): void {
    this.#toldItems = this.#items;
    this.#told?.next(this.fill);
  }
}
