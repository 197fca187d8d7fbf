import {
  asapScheduler,
  asyncScheduler,
  Observable,
  type Observer,
  type OperatorFunction,
  type SchedulerLike,
  type Subscriber,
  takeWhile,
} from "rxjs";
import { Timer } from "./after.ts";
import { checkNumbers, checkSize } from "./checkNumber.ts";
import { TransactionBuffer, type TransactionMark, type UnfinishedTransaction } from "./transactionBuffer.ts";

export { type TransactionMark, UnfinishedTransaction } from "./transactionBuffer.ts";

/** When {@link batch} closes a batch. */
export interface BatchOptions<T> {
  /** Most items in a batch, >= 1. Default 500. */
  readonly maxItems?: number;
  /** Most bytes in a batch by `sizeOf`, >= 1. An item that is larger goes alone. Default 1 MiB. */
  readonly maxBytes?: number;
  /** The size of an item in bytes. Default 0: bytes do not count. */
  readonly sizeOf?: (item: T) => number;
  /**
   * How long a batch waits for more items, in ms from its first one, or from the batch before it where
   * it starts in mid-transaction; Infinity: until it is full. Default 0, which adapts: a batch goes as soon
   * as there is `room`, with what the source has emitted by then without a pause.
   */
  readonly lingerMs?: number;
  /** Items of one transaction follow each other and stay together. Default: no transactions. */
  readonly transactionOf?: (item: T) => TransactionMark | undefined;
  /**
   * Most items of a transaction that is larger than a batch; beyond them it is split all the same,
   * to bound memory. Default 5,000.
   */
  readonly maxTransactionItems?: number;
  /** Likewise its most bytes. Default 16 MiB. */
  readonly maxTransactionBytes?: number;
  /**
   * How long at least, in ms without a further item, a transaction stays open whose source does not
   * mark the last item; twice as long at most. Default 10.
   */
  readonly transactionIdleMs?: number;
  /**
   * Told of a transaction in whose middle the source completes; then the result completes without its items.
   * Default: it ends with {@link UnfinishedTransaction}.
   */
  readonly unfinished?: Pick<Observer<UnfinishedTransaction>, "next">;
  /** Whether downstream takes a batch now, starting with a value at once. Default: always. */
  readonly room?: Observable<boolean>;
  /** For all timers. Default: `asyncScheduler`, and `asapScheduler` for a `lingerMs` of 0. */
  readonly scheduler?: SchedulerLike;
}

/**
 * Gathers items into batches that close on count, bytes or time, whichever comes first, and never
 * splits a transaction.
 *
 * ```
 * source              -abc-----d--|      maxItems 2, lingerMs 3
 * batch               --A---B-----(C|)   A: [a, b]   B: [c]   C: [d]
 * ```
 *
 * - **Order** that of the source; a batch is never empty.
 * - **Memory** items wait without bound while there is no `room`; put `boundedBuffer` around.
 * - **Completion** emits what is left as there is room, then completes. A transaction whose source
 *   marks last items and that has none yet is left out, and told: see `unfinished`. Such a transaction
 *   ends, too, where another one begins.
 * - **Errors** emits the batches that are complete, then the error, without waiting for room. An error
 *   of `room` ends the result at once. What a callback throws, or a size that is no number from 0 on, counts
 *   as an error of the source. Limits that are no numbers throw a `RangeError` at once.
 * - **Teardown** drops what waits and cancels the timer.
 *
 * @example
 * ```ts
 * changes$.pipe(batch({ maxItems: 100, lingerMs: 20 })).subscribe((changes) => save(changes));
 * ```
 */
export function batch<T>(options: BatchOptions<T> = {}): OperatorFunction<T, T[]> {
  const settings = settingsOf(options);
  return (source) => new Observable((subscriber) => new Batching(settings, subscriber).connect(source));
}

interface Settings<T>
  extends Required<Omit<BatchOptions<T>, "room" | "scheduler" | "lingerMs" | "transactionIdleMs">> {
  readonly room: Observable<boolean> | undefined;
  /** Make the timers. */
  readonly linger: (due: () => void) => Timer;
  readonly idle: (due: () => void) => Timer;
}

function settingsOf<T>({
  maxItems = 500,
  maxBytes = 1024 * 1024,
  sizeOf = () => 0,
  lingerMs = 0,
  transactionOf = () => undefined,
  maxTransactionItems = 5_000,
  maxTransactionBytes = 16 * 1024 * 1024,
  transactionIdleMs = 10,
  unfinished = { next: fail },
  room,
  scheduler,
}: BatchOptions<T>): Settings<T> {
  checkNumbers("batch", { maxItems, maxBytes }, 1);
  checkNumbers("batch", { lingerMs, maxTransactionItems, maxTransactionBytes, transactionIdleMs }, 0);
  const lingerScheduler = scheduler ?? (lingerMs > 0 ? asyncScheduler : asapScheduler);
  return {
    ...{
      maxItems,
      maxBytes,
      sizeOf,
      transactionOf,
      maxTransactionItems,
      maxTransactionBytes,
      unfinished,
      room,
    },
    linger: (due) => new Timer(lingerMs, lingerScheduler, due),
    idle: (due) => new Timer(transactionIdleMs, scheduler ?? asyncScheduler, due),
  };
}

/** One subscription. */
class Batching<T> {
  readonly #settings: Settings<T>;
  readonly #subscriber: Subscriber<T[]>;
  readonly #buffer: TransactionBuffer<T>;
  readonly #linger: Timer;
  readonly #idle: Timer;
  #hasRoom: boolean;
  #isSourceDone = false;
  #arrivedBefore = 0;

  constructor(settings: Settings<T>, subscriber: Subscriber<T[]>) {
    this.#settings = settings;
    this.#subscriber = subscriber;
    this.#hasRoom = settings.room === undefined;
    this.#linger = settings.linger(() => this.#emit());
    this.#idle = settings.idle(() => {
      // Nothing came meanwhile: the transaction counts as ended.
      if (this.#buffer.arrived === this.#arrivedBefore) this.#buffer.endTransaction();
      this.#emit();
    });
    // What it begins with then has a time of its own.
    this.#buffer = new TransactionBuffer<T>(settings, () => this.#linger.stop());
  }

  connect(source: Observable<T>): void {
    const subscriber = this.#subscriber;
    subscriber.add(() => {
      this.#linger.stop();
      this.#idle.stop();
    });
    subscriber.add(
      this.#settings.room?.subscribe({
        next: (value) => {
          this.#hasRoom = value;
          if (value) this.#emit();
        },
        error: (error) => subscriber.error(error),
      }),
    );
    subscriber.add(
      source
        .pipe(
          // In an operator, so that what a callback throws comes out as an error of the source does.
          takeWhile((item) => {
            if (subscriber.closed) return false;
            this.#add(item);
            return true;
          }),
        )
        .subscribe({ error: (error) => this.#fail(error), complete: () => this.#end() }),
    );
  }

  #add(item: T): void {
    const { transactionOf, sizeOf } = this.#settings;
    const mark = transactionOf(item) ?? undefined;
    this.#buffer.add(item, mark, checkSize("batch", "sizeOf", sizeOf(item)));
    this.#emit();
  }

  #emit(): void {
    while (this.#hasRoom && !this.#subscriber.closed) {
      const next = this.#buffer.take(this.#linger.isDue || this.#isSourceDone);
      if (next === undefined) break;
      this.#subscriber.next(next);
    }
    if (this.#isSourceDone && !this.#buffer.hasWhole) this.#complete();
    else this.#wait();
  }

  /** Sets the timers that what is open needs; `#emit` comes back here. */
  #wait(): void {
    if (!this.#buffer.isOpen || this.#isSourceDone || this.#subscriber.closed) return;
    if (!this.#linger.isDue) this.#linger.start();
    else if (this.#buffer.awaitsEnd && this.#idle.start()) this.#arrivedBefore = this.#buffer.arrived;
  }

  #fail(error: unknown): void {
    // Room that opens meanwhile may take some of them.
    for (let next = this.#buffer.take(true); next !== undefined; next = this.#buffer.take(true))
      this.#subscriber.next(next);
    this.#subscriber.error(error);
  }

  #end(): void {
    this.#isSourceDone = true;
    if (this.#buffer.awaitsEnd) this.#buffer.endTransaction();
    this.#emit();
  }

  #complete(): void {
    try {
      const left = this.#buffer.unfinished;
      if (left !== undefined) this.#settings.unfinished.next(left);
      this.#subscriber.complete();
    } catch (error) {
      this.#subscriber.error(error);
    }
  }
}

function fail(error: unknown): never {
  throw error;
}
