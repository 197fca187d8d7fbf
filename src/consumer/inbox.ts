import { createHash } from "node:crypto";
import { lastValueFrom, type Observable, takeUntil } from "rxjs";
import { reasonOf } from "../errors/reasonOf.ts";
import { codeOf, messageOf } from "../errors/thrown.ts";
import type { Settler } from "./delivery.ts";
import type { TransactionTuning } from "./groupOptions.ts";

/** Asks PostgreSQL, as a client of pg does. */
export interface Querying {
  readonly query: (text: string, values?: unknown[]) => Promise<{ readonly rows: readonly object[] }>;
}

/** How often marks are looked for that can go, in ms, and how many go at a time. */
const forgetEveryMs = 60_000;
const forgetAtOnce = 1000;

/** The advisory lock of who makes the table: "rxad". */
const makingLock = 0x72786164;

/** What PostgreSQL says at the end of a transaction that is none any more. */
const undone: ReadonlyMap<unknown, string> = new Map([
  // The cursor is gone, which lives as long as its transaction.
  ["34000", "its handler has ended the transaction, expected that to be left to inTransaction"],
  [
    "25P02",
    "a statement of its handler failed, which undoes the transaction, and was caught: let it throw, or set a savepoint before it",
  ],
]);

/** What marks a delivery. */
export interface InboxRow {
  readonly stream: string;
  readonly group: string;
  readonly ms: string;
  readonly number: string;
  /** What the entry is, as a UUID: one of a stream that was made anew may have the ID of one that was there before. */
  readonly content: string;
}

/** The marks of deliveries that are done: one row each, committed with the work that it stands for. */
export class Inbox {
  readonly #table: string;
  readonly #keepMs: number;
  // By group and stream.
  readonly #forgetDueMs = new Map<string, number>();
  #hasWarned = false;

  constructor({ table, keepMs }: Pick<TransactionTuning, "table" | "keepMs">) {
    this.#table = table
      .split(".")
      .map((name) => `"${name}"`)
      .join(".");
    this.#keepMs = keepMs;
  }

  /**
   * Begins a transaction and marks deliveries as done in it; tells of each whether it was not so before. What another
   * transaction has in hand is waited for.
   */
  async begin(client: Querying, rows: readonly InboxRow[]): Promise<readonly boolean[]> {
    try {
      return await this.#mark(client, rows);
    } catch (error) {
      if (codeOf(error) !== "42P01") throw error;
    }
    await client.query("ROLLBACK");
    await this.#make(client);
    return this.#mark(client, rows);
  }

  /** Commits all of it; resolves to why the server has not done that, if so, and rejects where nobody knows. */
  async commit(client: Querying): Promise<{ readonly reason: unknown } | undefined> {
    try {
      await client.query("CLOSE rxadd_transaction; COMMIT");
      return undefined;
    } catch (reason) {
      // Such as a timeout of the client's: the server may still be at it.
      if (codeOf(reason) === undefined) throw reason;
      // Who answers this has not gone away in the middle of the other.
      await client.query("ROLLBACK");
      const why = undone.get(codeOf(reason));
      return { reason: why === undefined ? reason : new Error(`inTransaction: ${why}`) };
    }
  }

  /** Now and then, removes marks of what comes to nobody any more. */
  async forget(client: Querying, settler: Settler, until$: Observable<unknown>): Promise<void> {
    const place = JSON.stringify([settler.group, settler.stream]);
    const now = performance.now();
    if (now < (this.#forgetDueMs.get(place) ?? 0)) return;
    this.#forgetDueMs.set(place, now + forgetEveryMs);
    try {
      const horizon$ = settler.horizon().pipe(takeUntil(until$));
      const horizon = await lastValueFrom(horizon$, { defaultValue: undefined });
      const removed = horizon === undefined ? 0 : await this.#remove(client, settler, horizon);
      // At once where there may be more than now and then.
      if (removed > forgetAtOnce / 2) this.#forgetDueMs.delete(place);
    } catch (error) {
      // It is done all the same.
      if (!this.#hasWarned)
        process.emitWarning(`inTransaction: old marks stay for now: ${reasonOf(error)}`, "RxaddWarning");
      this.#hasWarned = true;
    }
  }

  async #remove(client: Querying, { stream, group }: Settler, horizon: string): Promise<number> {
    // Of the lowest ones those that are old enough: so it never looks at more than it may remove.
    const { rows } = await client.query(
      `DELETE FROM ${this.#table} WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM (
          SELECT ctid, done_at FROM ${this.#table}
          WHERE stream = $1 AND group_name = $2 AND (entry_ms, entry_number) < ($3::numeric, $4::numeric)
          ORDER BY entry_ms, entry_number LIMIT ${forgetAtOnce}) AS lowest
        WHERE done_at < now() - $5::float8 * interval '1 millisecond')) RETURNING 1`,
      [stream, group, ...horizon.split("-"), this.#keepMs],
    );
    return rows.length;
  }

  async #mark(client: Querying, marks: readonly InboxRow[]): Promise<readonly boolean[]> {
    // The cursor tells at the end whether it is still the same transaction.
    await client.query("BEGIN; DECLARE rxadd_transaction CURSOR FOR SELECT 1");
    // In one order, so that of two that have the same ones in hand neither waits for the other in turn.
    const { rows } = await client.query(
      `INSERT INTO ${this.#table} (stream, group_name, entry_ms, entry_number, content)
      SELECT * FROM unnest($1::text[], $2::text[], $3::numeric[], $4::numeric[], $5::uuid[]) ORDER BY 1, 2, 3, 4, 5
      ON CONFLICT DO NOTHING RETURNING content`,
      [
        marks.map(({ stream }) => stream),
        marks.map(({ group }) => group),
        marks.map(({ ms }) => ms),
        marks.map(({ number }) => number),
        marks.map(({ content }) => content),
      ],
    );
    const isNew = new Set(rows.map((row: Partial<InboxRow>) => row.content));
    return marks.map(({ content }) => isNew.delete(content));
  }

  async #make(client: Querying): Promise<void> {
    const columns =
      "stream text NOT NULL, group_name text NOT NULL, entry_ms numeric(20) NOT NULL, entry_number numeric(20) NOT NULL, content uuid NOT NULL, done_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (stream, group_name, entry_ms, entry_number, content)";
    const definition = `CREATE TABLE IF NOT EXISTS ${this.#table} (${columns})`;
    try {
      // One after the other: of two that make it at the same time one would fail.
      await client.query(`SELECT pg_advisory_xact_lock(${makingLock}); ${definition}`);
    } catch (error) {
      throw new Error(
        `inTransaction: found no table ${this.#table}, and to make it failed: ${messageOf(error)}; expected one as by ${definition}`,
      );
    }
  }
}

/** How a delivery is marked; to be asked while it is surely held, as later it has no content any more. */
export function inboxRow({ stream, group, entryId, content }: Settler): InboxRow {
  const [ms = "", number = ""] = entryId.split("-");
  const hash = createHash("sha256").update(JSON.stringify([stream, group, entryId]));
  for (const word of content) hash.update("\0").update(word);
  const digits = hash.digest("hex").slice(0, 32);
  const uuid = digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  return { stream, group, ms, number, content: uuid };
}
