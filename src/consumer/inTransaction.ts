import { defer, from, lastValueFrom, Observable, of, Subject, takeUntil } from "rxjs";
import { codeOf } from "../errors/thrown.ts";
import { postponed } from "./decisions.ts";
import { type Decision, type Delivery, notHandedOut, type Settler, settlerOf } from "./delivery.ts";
import { transactionTuning } from "./groupOptions.ts";
import { comingOf, type ResultOf, verdictOf } from "./handlerOutput.ts";
import { Inbox, type InboxRow, inboxRow, type Querying } from "./inbox.ts";

/** A client of a pool, as pg has it. */
export interface TransactionClient extends Querying {
  /** Gives it back to the pool; `destroys`: closed, so that nobody uses it again. */
  release: (destroys?: boolean) => void;
  readonly on: (event: "error", listener: (error: Error) => void) => unknown;
  readonly off: (event: "error", listener: (error: Error) => void) => unknown;
}

/** Gives clients, as a `Pool` of pg does. */
export interface TransactionPool {
  readonly connect: () => Promise<TransactionClient>;
}

/** The clients of a pool; that of pg can be asked with a callback as well. */
export type ClientOf<P extends TransactionPool> = P extends {
  readonly connect: { (): Promise<infer C>; (callback: never): unknown };
}
  ? C
  : never;

/** Where {@link inTransaction} marks what is done, and for how long. */
export interface TransactionOptions {
  /** The table of the marks, made if it is not there. Default `rxadd_inbox`, where the search path finds it. */
  readonly table?: string;
  /**
   * How long a mark is kept at least, in ms: longer than what a failover or a backup of Redis may take back. It stays
   * in any case while its entry is in the stream, or pending. Default 86,400,000, a day.
   */
  readonly keepMs?: number;
}

/** When it is tried again to reach the database, in ms. */
const awayMs = 5000;

/** Serialisation failure, deadlock. */
const conflicts: readonly unknown[] = ["40001", "40P01"];

/**
 * Makes a handler for `acknowledge` or `acknowledgeBatch` of one that writes to PostgreSQL: it runs in a transaction that
 * marks its delivery as done, so that what it writes happens exactly once. What comes again is acknowledged without it.
 *
 * ```
 * deliveries     -a-----b---|     b was done before: its consumer died between COMMIT and the acknowledgement
 * handler(a)       --|            after BEGIN and the mark, before COMMIT
 * acknowledged   ------a-b--|
 * ```
 *
 * - **Once** for each entry and group. Of two consumers that have it at the same time the second waits for the first
 *   one's transaction. What a handler does elsewhere happens at least once, as ever.
 * - **The client** is the handler's until that is done. It must not be released, and its transaction not be ended: that
 *   fails. With `acknowledgeBatch` there is one transaction for all of a batch that are not done yet.
 * - **Rollback** where the handler fails, or gives `giveBack`, `retryIn` or `deadLetter`. `effects` are no part of the
 *   transaction: they fail. After an error the client is closed, as what the handler has begun may still use it.
 * - **Retries** as of any failure. While the database is away, after each 5 s; that, a deadlock and a serialisation failure
 *   do not count against `maxDeliveries`. If the connection breaks at COMMIT the delivery comes again, and the mark tells.
 * - **Marks** are rows of `table`, about 200 bytes each, which are removed after `keepMs` once their entries are neither in
 *   the stream nor pending.
 * - **Misuse** throws `ConfigurationInvalid` at once, with all that is wrong with the options.
 * - **Teardown** rolls back, by closing the connection.
 *
 * @param pool - of `pg`, or what is like it; `concurrency` handlers need as many clients
 * @param handler - given the client, and what `acknowledge` or `acknowledgeBatch` gives; what it gives is theirs
 * @example
 * ```ts
 * groupDeliveries<Order>({ uri, stream: "orders.events", group: "ledger" })
 *   .pipe(acknowledge(inTransaction(pool, (client, { total }) => client.query("UPDATE ledger SET sum = sum + $1", [total]))))
 *   .subscribe();
 * ```
 */
export function inTransaction<
  P extends TransactionPool,
  E,
  D extends Delivery<unknown> | readonly Delivery<unknown>[],
  H,
>(
  pool: P,
  handler: (client: ClientOf<P>, event: E, delivery: D) => H,
  options: TransactionOptions = {},
): (event: E, delivery: D) => Observable<ResultOf<H> | Decision> {
  const inbox = new Inbox(transactionTuning(options, pool, handler));
  return (event, delivery) =>
    new Observable((subscriber) => {
      const settlers = settlersOf(delivery);
      const work: Work = (client, isNew) =>
        // The pool's own, as its type says.
        handler(
          client as ClientOf<P>,
          remaining(event, delivery, isNew),
          remaining(delivery, delivery, isNew),
        );
      const transaction = new Transaction(pool, inbox, settlers, work);
      from(transaction.run() as Promise<ResultOf<H> | Decision>).subscribe(subscriber);
      return () => transaction.end("its handler was unsubscribed");
    });
}

/** Runs the handler on what is not done yet. */
type Work = (client: TransactionClient, isNew: readonly boolean[]) => unknown;

/** What settles a delivery, or each of a batch. */
function settlersOf(delivery: Delivery<unknown> | readonly Delivery<unknown>[]): readonly Settler[] {
  const deliveries: readonly Delivery<unknown>[] = Array.isArray(delivery) ? delivery : [delivery];
  return deliveries.map((one) => {
    const settler = settlerOf(one);
    if (settler === undefined) throw notHandedOut("inTransaction");
    return settler;
  });
}

/** Of a batch what is not done; there `value` is a list as well. */
function remaining<V>(value: V, delivery: unknown, isNew: readonly boolean[]): V {
  return Array.isArray(delivery) && Array.isArray(value)
    ? (value.filter((_, index) => isNew[index]) as V)
    : value;
}

/** One run of a handler. */
class Transaction {
  readonly #pool: TransactionPool;
  readonly #inbox: Inbox;
  readonly #settlers: readonly Settler[];
  readonly #rows: readonly InboxRow[];
  readonly #work: Work;
  // Errors when it is over before its time.
  readonly #over$ = new Subject<never>();
  // Only what goes wrong while it is handled says something of the delivery.
  #phase: "beginning" | "handling" | "committing" = "beginning";

  constructor(pool: TransactionPool, inbox: Inbox, settlers: readonly Settler[], work: Work) {
    this.#pool = pool;
    this.#inbox = inbox;
    this.#settlers = settlers;
    // Now, as they may be lost while it waits for a client.
    this.#rows = settlers.map(inboxRow);
    this.#work = work;
  }

  /** Resolves to what the handler gave, once that is committed or undone. */
  async run(): Promise<unknown> {
    try {
      return await this.#withClient();
    } catch (reason) {
      if (this.#phase === "beginning") return postponed(reason, awayMs);
      // What became of a COMMIT that has no answer is known by the mark, when the delivery comes again.
      if (this.#phase === "committing" || isConflict(reason)) return postponed(reason);
      throw reason;
    }
  }

  /** The client breaks, or nobody wants it any more. */
  end(reason: unknown): void {
    this.#over$.error(reason);
  }

  async #withClient(): Promise<unknown> {
    const client = await this.#pool.connect();
    const { release } = client;
    // One that breaks while nobody asks it anything would end the process.
    const broke = (error: Error) => this.end(error);
    let isReusable = false;
    try {
      client.on("error", broke);
      client.release = refuseRelease;
      const done$ = defer(() => this.#transact(client)).pipe(takeUntil(this.#over$));
      const output = await lastValueFrom(done$);
      isReusable = true;
      return output;
    } finally {
      client.off("error", broke);
      client.release = release;
      client.release(!isReusable);
    }
  }

  async #transact(client: TransactionClient): Promise<unknown> {
    const isNew = await this.#inbox.begin(client, this.#rows);
    if (!isNew.includes(true)) {
      await client.query("ROLLBACK");
      return undefined;
    }
    this.#phase = "handling";
    const output$ = defer(() => {
      const output = this.#work(client, isNew);
      return comingOf(output) ?? of(output);
    });
    const output = await lastValueFrom(output$.pipe(takeUntil(this.#over$)), { defaultValue: undefined });
    const verdict = verdictOf(output);
    if (verdict.kind !== "handled") {
      await client.query("ROLLBACK");
      return output;
    }
    if (verdict.effects.length > 0) throw withEffects;
    this.#phase = "committing";
    const refused = await this.#inbox.commit(client);
    if (refused !== undefined) {
      this.#phase = "handling";
      throw refused.reason;
    }
    for (const settler of this.#settlers) await this.#inbox.forget(client, settler, this.#over$);
    return output;
  }
}

const withEffects = new TypeError(
  "inTransaction: found effects, expected none: they would be lost with a process that dies after COMMIT",
);

function refuseRelease(): never {
  throw new TypeError(
    "inTransaction: release: the client is given back by itself, once its transaction has ended",
  );
}

/** Whether a transaction came into another one's way; some wrap what pg throws. */
function isConflict(thrown: unknown): boolean {
  return (
    conflicts.includes(codeOf(thrown)) ||
    (thrown instanceof Error && conflicts.includes(codeOf(thrown.cause)))
  );
}
