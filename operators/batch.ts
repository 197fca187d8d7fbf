import {
  asapScheduler,
  asyncScheduler,
  Observable,
  type Observer,
  type OperatorFunction,
  type SchedulerLike,
  type Subscription,
  takeWhile,
  tap,
} from "rxjs";
import { after } from "./after.ts";
import { checkNumbers, checkSize } from "./checkNumber.ts";

/** What `batch` has to know of an item's transaction. */
export interface TransactionMark {
  readonly id: string;
  /** Whether the item is the transaction's last; undefined when the source does not say. */
  readonly last?: boolean | undefined;
}

/** A source completed in the middle of a transaction, whose last item it marks and has not emitted. */
export class UnfinishedTransaction extends Error {
  override readonly name = "UnfinishedTransaction";
  readonly id: string;
  /** How many items of it were emitted, and are left out. */
  readonly items: number;

  constructor(id: string, items: number) {
    super(
      `transaction ${id}: found no last item before the source completed, its items so far, ${items}, are left out: let the last one through, or give \`unfinished\` to go without them`,
    );
    this.id = id;
    this.items = items;
  }
}

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
  const {
    maxItems = 500,
    maxBytes = 1024 * 1024,
    sizeOf = () => 0,
    lingerMs = 0,
    transactionOf = () => undefined,
    maxTransactionItems = 5_000,
    maxTransactionBytes = 16 * 1024 * 1024,
    transactionIdleMs = 10,
    unfinished,
    room,
    scheduler,
  } = options;
  checkNumbers("batch", { maxItems, maxBytes }, 1);
  checkNumbers("batch", { lingerMs, maxTransactionItems, maxTransactionBytes, transactionIdleMs }, 0);
  const lingerScheduler = scheduler ?? (lingerMs > 0 ? asyncScheduler : asapScheduler);
  const idleScheduler = scheduler ?? asyncScheduler;

  return (source) =>
    new Observable((subscriber) => {
      const closed: T[][] = [];
      let open: T[] = [];
      let openBytes = 0;
      // Where in `open` the last complete transaction ends, and how many bytes stand before it.
      let boundary = 0;
      let boundaryBytes = 0;
      let transaction: TransactionMark | undefined;
      let arrived = 0;
      let hasRoom = room === undefined;
      let isDue = false;
      let sourceDone = false;
      let linger: Subscription | undefined;
      let idle: Subscription | undefined;

      function markBoundary(): void {
        boundary = open.length;
        boundaryBytes = openBytes;
      }

      function takeToBoundary(): T[] {
        const taken = boundary === open.length ? open : open.slice(0, boundary);
        open = boundary === open.length ? [] : open.slice(boundary);
        openBytes -= boundaryBytes;
        boundary = 0;
        boundaryBytes = 0;
        isDue = false;
        linger?.unsubscribe();
        linger = undefined;
        return taken;
      }

      function emit(): void {
        while (hasRoom && !subscriber.closed) {
          const next = closed.shift() ?? (isDue && boundary > 0 ? takeToBoundary() : undefined);
          if (next === undefined) break;
          subscriber.next(next);
        }
        if (sourceDone && closed.length === 0 && boundary === 0) end();
        else wait();
      }

      function end(): void {
        if (open.length > 0 && transaction !== undefined) {
          const left = new UnfinishedTransaction(transaction.id, open.length);
          try {
            if (unfinished === undefined) throw left;
            unfinished.next(left);
          } catch (error) {
            subscriber.error(error);
          }
        }
        subscriber.complete();
      }

      /** Sets the timers that `open` needs; `emit` comes back here. */
      function wait(): void {
        if (open.length === 0 || sourceDone || subscriber.closed) return;
        if (!isDue) {
          linger ??= after(lingerMs, lingerScheduler, () => {
            linger = undefined;
            isDue = true;
            emit();
          });
        } else if (boundary < open.length && transaction?.last === undefined) {
          const seen = arrived;
          idle ??= after(transactionIdleMs, idleScheduler, () => {
            idle = undefined;
            // Nothing came meanwhile: the transaction counts as ended.
            if (arrived === seen) markBoundary();
            emit();
          });
        }
      }

      function add(item: T): void {
        const mark = transactionOf(item) ?? undefined;
        const size = checkSize("batch", "sizeOf", sizeOf(item));
        if (mark?.id !== transaction?.id) markBoundary();
        transaction = mark;
        arrived += 1;

        const overflows = open.length >= maxItems || openBytes + size > maxBytes;
        if (overflows && boundary > 0) closed.push(takeToBoundary());
        open.push(item);
        openBytes += size;
        const isTooLarge =
          open.length - boundary >= maxTransactionItems || openBytes - boundaryBytes >= maxTransactionBytes;
        if (mark === undefined || mark.last === true || isTooLarge) markBoundary();
        if (boundary === open.length && (open.length >= maxItems || openBytes >= maxBytes)) {
          closed.push(takeToBoundary());
        }
      }

      subscriber.add(() => {
        linger?.unsubscribe();
        idle?.unsubscribe();
      });
      subscriber.add(
        room?.subscribe({
          next: (value) => {
            hasRoom = value;
            if (hasRoom) emit();
          },
          error: (error) => subscriber.error(error),
        }),
      );
      subscriber.add(
        source
          .pipe(
            takeWhile(() => !subscriber.closed),
            // In `tap`, so that what a callback throws comes out as an error of the source does.
            tap((item) => {
              add(item);
              emit();
            }),
          )
          .subscribe({
            error: (error) => {
              // Room that opens meanwhile may take some of them.
              for (let next = closed.shift(); next !== undefined; next = closed.shift())
                subscriber.next(next);
              if (boundary > 0) subscriber.next(takeToBoundary());
              subscriber.error(error);
            },
            complete: () => {
              sourceDone = true;
              isDue = true;
              if (transaction?.last === undefined) markBoundary();
              emit();
            },
          }),
      );
    });
}
