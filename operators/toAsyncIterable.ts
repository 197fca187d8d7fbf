import { BehaviorSubject, defer, type Observable, Subject, takeUntil } from "rxjs";
import { BufferOverflow } from "./boundedBuffer.ts";
import { checkNumbers } from "./checkNumber.ts";
import type { Flow } from "./flow.ts";

/** The bound of {@link toAsyncIterable}. */
export interface ToAsyncIterableOptions {
  /** Most values that wait for the loop, >= 1; half of them make it say pause. Default 4,096. */
  readonly maxItems?: number;
}

/**
 * An Observable as an async iterable, for `for await`, tRPC and whatever else takes one.
 *
 * ```
 * source    -abc---d|      maxItems 4
 * flow      --P--R---      b makes it two that wait; nothing waits any more
 * for await -a--b-c-d|     slower
 * ```
 *
 * - **Back-pressure** a source that is made by a function of `flow` is told to pause and resume. One that goes on all the
 *   same, or cannot be told, fails with `BufferOverflow` at the value that is one too many.
 * - **Subscribes** at the first `next`, once for each loop.
 * - **Completion and errors** come behind the values before them.
 * - **Teardown** leaving the loop, by `break`, `return` or an error, unsubscribes and drops what waits.
 * - **Misuse** throws a `RangeError` at once.
 *
 * @example
 * ```ts
 * for await (const { event } of toAsyncIterable((flow) => streamEntries({ uri, stream: "orders.events", flow })))
 *   await socket.send(event);
 * ```
 */
export function toAsyncIterable<T>(
  source: Observable<T> | ((flow: Observable<Flow>) => Observable<T>),
  { maxItems = 4096 }: ToAsyncIterableOptions = {},
): AsyncIterable<T> {
  checkNumbers("toAsyncIterable", { maxItems }, 1);
  return { [Symbol.asyncIterator]: () => new Iteration(source, maxItems) };
}

/** Whoever waits for a value. */
interface Waiting<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/** One loop. */
class Iteration<T> implements AsyncIterator<T, undefined> {
  readonly #source: Observable<T>;
  readonly #maxItems: number;
  readonly #flow$ = new BehaviorSubject<Flow>("resume");
  readonly #values: T[] = [];
  // Only while there are no values.
  readonly #waiting: Waiting<T>[] = [];
  // Ends also a source that emits while it is subscribed to.
  readonly #left$ = new Subject<void>();
  #hasBegun = false;
  // What comes behind the values; undefined: more of them.
  #end: { readonly error?: unknown } | undefined;

  constructor(source: Observable<T> | ((flow: Observable<Flow>) => Observable<T>), maxItems: number) {
    this.#source = typeof source === "function" ? defer(() => source(this.#flow$)) : source;
    this.#maxItems = maxItems;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (!this.#hasBegun && this.#end === undefined) this.#begin();
      this.#settle();
    });
  }

  /** The loop is left. */
  return(): Promise<IteratorResult<T, undefined>> {
    this.#values.length = 0;
    this.#finish({});
    return Promise.resolve({ done: true, value: undefined });
  }

  #begin(): void {
    this.#hasBegun = true;
    this.#source.pipe(takeUntil(this.#left$)).subscribe({
      next: (value) => this.#take(value),
      error: (error) => this.#finish({ error }),
      complete: () => this.#finish({}),
    });
  }

  #take(value: T): void {
    if (this.#values.length >= this.#maxItems) {
      this.#finish({ error: new BufferOverflow({ items: this.#values.length, bytes: 0 }) });
      return;
    }
    this.#values.push(value);
    this.#settle();
    if (this.#values.length >= this.#maxItems / 2) this.#tell("pause");
  }

  #finish(end: { readonly error?: unknown }): void {
    this.#end ??= end;
    this.#left$.next();
    this.#settle();
  }

  /** Gives those that wait what there is. */
  #settle(): void {
    while (this.#values.length > 0) {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) return;
      // There is one: it may be undefined.
      waiting.resolve({ done: false, value: this.#values.shift() as T });
    }
    if (this.#end === undefined) this.#tell("resume");
    else for (const waiting of this.#waiting.splice(0)) this.#giveEnd(waiting);
  }

  /** An error is given once; then it is over. */
  #giveEnd({ resolve, reject }: Waiting<T>): void {
    const end = this.#end ?? {};
    this.#end = {};
    if ("error" in end) reject(end.error);
    else resolve({ done: true, value: undefined });
  }

  #tell(flow: Flow): void {
    if (this.#flow$.value !== flow) this.#flow$.next(flow);
  }
}
