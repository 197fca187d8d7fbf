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

/** When a batch is full, and a transaction is too large to stay whole. */
export interface TransactionBufferLimits {
  readonly maxItems: number;
  readonly maxBytes: number;
  readonly maxTransactionItems: number;
  readonly maxTransactionBytes: number;
}

/** Gathers items into batches that hold whole transactions. Knows no time. */
export class TransactionBuffer<T> {
  readonly #limits: TransactionBufferLimits;
  readonly #taken: () => void;
  readonly #full: T[][] = [];
  #open: T[] = [];
  #openBytes = 0;
  // Where in `open` the last complete transaction ends, and how many bytes stand before it.
  #boundary = 0;
  #boundaryBytes = 0;
  #transaction: TransactionMark | undefined;
  #arrived = 0;

  /** @param taken - told when a batch is made of what was open: what is open now begins there */
  constructor(limits: TransactionBufferLimits, taken: () => void) {
    this.#limits = limits;
    this.#taken = taken;
  }

  /** How many items have come so far. */
  get arrived(): number {
    return this.#arrived;
  }

  /** Whether there is something that is in no full batch. */
  get isOpen(): boolean {
    return this.#open.length > 0;
  }

  /** Whether there is something to take. */
  get hasWhole(): boolean {
    return this.#full.length > 0 || this.#boundary > 0;
  }

  /** Whether it ends in a transaction of which nobody says where that ends. */
  get awaitsEnd(): boolean {
    return this.#boundary < this.#open.length && this.#transaction?.last === undefined;
  }

  /** The transaction of which the last item has yet to come. */
  get unfinished(): UnfinishedTransaction | undefined {
    if (this.#open.length === 0 || this.#transaction === undefined) return undefined;
    return new UnfinishedTransaction(this.#transaction.id, this.#open.length);
  }

  add(item: T, mark: TransactionMark | undefined, size: number): void {
    const { maxItems, maxBytes, maxTransactionItems, maxTransactionBytes } = this.#limits;
    if (mark?.id !== this.#transaction?.id) this.endTransaction();
    this.#transaction = mark;
    this.#arrived += 1;

    const overflows = this.#open.length >= maxItems || this.#openBytes + size > maxBytes;
    if (overflows && this.#boundary > 0) this.#full.push(this.#takeWhole());
    this.#open.push(item);
    this.#openBytes += size;
    const isTooLarge =
      this.#open.length - this.#boundary >= maxTransactionItems ||
      this.#openBytes - this.#boundaryBytes >= maxTransactionBytes;
    if (mark === undefined || mark.last === true || isTooLarge) this.endTransaction();
    const isFull = this.#open.length >= maxItems || this.#openBytes >= maxBytes;
    if (isFull && this.#boundary === this.#open.length) this.#full.push(this.#takeWhole());
  }

  /** What is there counts as whole. */
  endTransaction(): void {
    this.#boundary = this.#open.length;
    this.#boundaryBytes = this.#openBytes;
  }

  /** The oldest full batch; then, if it `isDue`, what is whole of the one that is not full. */
  take(isDue: boolean): T[] | undefined {
    return this.#full.shift() ?? (isDue && this.#boundary > 0 ? this.#takeWhole() : undefined);
  }

  #takeWhole(): T[] {
    const isAll = this.#boundary === this.#open.length;
    const whole = isAll ? this.#open : this.#open.slice(0, this.#boundary);
    this.#open = isAll ? [] : this.#open.slice(this.#boundary);
    this.#openBytes -= this.#boundaryBytes;
    this.#boundary = 0;
    this.#boundaryBytes = 0;
    this.#taken();
    return whole;
  }
}
