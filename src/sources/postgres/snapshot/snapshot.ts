import { randomUUID } from "node:crypto";
import { type Observer, Subscription, timer } from "rxjs";
import { isRetryable, isRxaddError, type RxaddError } from "../../../errors/rxaddError.ts";
import type { ChangeEvent, Row } from "../../../event/changeEvent.ts";
import type { Lsn } from "../../../event/lsn.ts";
import type { SnapshotProgress } from "../../../telemetry/snapshotProgress.ts";
import type { LogMessage, MessageTransaction } from "../pgoutput.ts";
import { postgresError } from "../postgresError.ts";
import { Chunk, type TableChange } from "./chunk.ts";
import { nextChunkRows } from "./chunkRows.ts";
import { MovedRows } from "./movedRows.ts";
import { aroundKey, ordTable, readsText, shownTable, type TableName, type TableRead } from "./tableRead.ts";
import { type TableReader, watermark } from "./tableReader.ts";
import { ToldTransactions } from "./toldTransactions.ts";
import { Visibility } from "./visibility.ts";

export interface SnapshotOptions {
  /** The database's name: with the position it makes an event's id. */
  readonly db: string;
  /** What is left to be read. */
  readonly reads: readonly TableRead[];
  /** All tables that are published, in order. */
  readonly tables: readonly TableName[];
  readonly reader: Pick<TableReader, "look" | "read" | "mark" | "rest" | "readWhole">;
  readonly emit: (event: ChangeEvent<Row, Lsn>) => void;
  readonly failed: (error: unknown) => void;
  /** Whether nothing is to be told now. */
  readonly isPaused: () => boolean;
  /** Told to stop reading the log, and to go on. */
  readonly hold: (isHeld: boolean) => void;
  readonly progress?: Pick<Observer<SnapshotProgress>, "next"> | undefined;
}

/** Tells an event: its number in its transaction, the row, and what follows the place in its position. */
type Tell = (op: "r" | "t", number: number, after: Row | null, reads: string) => void;

/** How the reading of a table has ended. */
type Ended = { readonly state: "read" } | { readonly state: "refused"; readonly error: RxaddError };

/**
 * What goes on: nothing; rows are read, while changes are noted; a truncate, or rows that are there, wait for their place in the log. For a table without
 * a key: its place in the log is waited for; its rows are told, while the log waits; the log comes to where they were read.
 */
type Stage =
  | { readonly is: "resting" }
  | { readonly is: "reading"; readonly changes: TableChange[]; bytes: number }
  | { readonly is: "waiting"; readonly chunk: Chunk; readonly word: string; readonly isLast: boolean }
  | { readonly is: "coming"; readonly word: string }
  | { readonly is: "telling" }
  | { readonly is: "settling"; readonly word: string; readonly table: TableName; readonly seen: Visibility };

/** So many changes of the table are noted while its rows are read, and so many bytes of them; then the log waits. */
const maxNoted = 10_000;
const maxNotedBytes = 16 * 1024 * 1024;
/** How long what follows the place in a position may be before another request is refused. */
const maxText = 10_000;
/** How long a transaction that is told, and not yet seen, is waited for. */
const unseenMs = 50;

/**
 * Reads the rows of tables between the changes of the log: a piece of a table at a time, by its key, and each where the log says
 * that it belongs.
 *
 * A piece is read as of one moment, and then a word, the watermark, is written into the log. When the log comes to it, every change that
 * the moment has not seen, and that was made before the word, has been told; such a change takes the place of its row. So for
 * each key what is told last is what is newest. How far it is stands in each position.
 *
 * A transaction whose commit is in the log may yet be unseen, for as long as a standby takes to confirm it. Where one that was told before
 * the rows were read was not seen by them, they are read again; and they are not read until it is known of all that ran when it
 * began to remember whether they had been told.
 *
 * A table without a key is read as a whole, while the log waits.
 *
 * - **Memory** one piece, and while it is read 10,000 changes of its table, or 16 MiB of them.
 */
export class Snapshot {
  readonly #options: SnapshotOptions;
  readonly #running = new Subscription();
  #reads: readonly TableRead[];
  #text = "";
  #stage: Stage = { is: "resting" };
  readonly #moved = new MovedRows();
  /** Whether the first piece of the first table was asked for. */
  #isBegun = false;
  #limit = nextChunkRows();
  #rows = 0;
  #estimated: number | undefined;
  readonly #told: ToldTransactions;
  /** Goes on with what waits while it is paused. */
  #wake: (() => void) | undefined;
  #isClosed = false;

  constructor(options: SnapshotOptions) {
    this.#options = options;
    this.#reads = options.reads;
    this.#text = readsText(options.reads);
    this.#told = new ToldTransactions(() => options.reader.look());
  }

  /** What follows the place in each position: how far it is. */
  get text(): string {
    return this.#text;
  }

  /** Goes on, if anything is left and nobody asked to pause. */
  resume(): void {
    const [read] = this.#reads;
    if (read === undefined || this.#isClosed || this.#options.isPaused()) return;
    this.#wake?.();
    this.#wake = undefined;
    if (this.#stage.is !== "resting") return;
    if (!this.#isBegun && isWhole(read)) this.#moved.begin(read, read.isAnew);
    this.#isBegun = true;
    this.#stage = { is: "reading", changes: [], bytes: 0 };
    this.#watch(read, this.#read(read));
  }

  /** Adds tables to what is to be read, unless the same is to come already. It stands in each position: of too many one is refused. */
  ask(read: TableRead): void {
    const [first, ...others] = this.#reads;
    const asked = readsText([read]);
    const coming = this.#stage.is === "resting" && first !== undefined ? [first, ...others] : others;
    if (coming.some((each) => readsText([each]) === asked)) return;
    if (this.#text.length > maxText) {
      const error = postgresError(
        "Refused",
        `backfill: found ${this.#reads.length} requests that wait, expected fewer: ask for the rows of ${shownTable(read)} again when those are read`,
      );
      this.#options.progress?.next({
        table: shownTable(read),
        rows: 0,
        estimated: undefined,
        state: "refused",
        error,
      });
      return;
    }
    this.#left([...this.#reads, read]);
    this.resume();
  }

  /** Adds all tables, each behind a truncate, unless they are about to be read so. */
  askAnew(): void {
    const isComing = ({ after, isAnew, where }: TableRead) =>
      isAnew && after === undefined && where === undefined;
    const [first] = this.#options.tables;
    if (first === undefined || this.#reads.some(isComing)) return;
    this.ask({ ...first, after: undefined, isAnew: true, where: undefined });
  }

  /** Takes note of a change that is about to be told; returns whether it is to be: it may have been told with the rows. */
  changed(change: TableChange): boolean {
    const { table, xid, before, after, unchanged, bytes } = change;
    if (this.#reads.length === 0) return true;
    this.#told.add(xid);
    const stage = this.#stage;
    const [first] = this.#reads;
    if (stage.is === "reading" && first !== undefined && isSame(first, table)) {
      // Whoever gets the event may change it.
      stage.changes.push({ ...change, ...structuredClone({ before, after }) });
      stage.bytes += bytes;
      if (stage.changes.length >= maxNoted || stage.bytes >= maxNotedBytes) this.#options.hold(true);
    } else if (stage.is === "waiting" && isSame(stage.chunk.table, table) && !stage.chunk.changed(change))
      this.#later();
    else if (stage.is === "settling" && isSame(stage.table, table) && stage.seen.sees(xid)) return false;
    // A row that moves to another key without its large columns may not have been read under its old one, nor ever be.
    if (before !== null && after !== null && unchanged.length > 0 && this.#moved.moved(table, before, after))
      this.#again(table);
    return true;
  }

  /** Tells the truncate, or the rows, that wait for this message. */
  message({ prefix, content }: LogMessage, transaction: MessageTransaction | undefined): void {
    const stage = this.#stage;
    const [read] = this.#reads;
    if (read === undefined || transaction === undefined || prefix !== watermark) return;
    if (!("word" in stage) || content.toString() !== stage.word) return;
    if (stage.is === "coming") {
      this.#stage = { is: "telling" };
      this.#options.hold(true);
      this.#watch(read, this.#tellWhole(read, transaction));
      return;
    }
    this.#stage = { is: "resting" };
    if (stage.is === "settling") this.#done(read, { state: "read" });
    else this.#tell(read, stage.chunk, stage.isLast, transaction);
    this.resume();
  }

  close(): void {
    this.#isClosed = true;
    this.#running.unsubscribe();
    this.#options.reader.rest();
  }

  async #read(read: TableRead): Promise<void> {
    const { reader, hold } = this.#options;
    if (!(await this.#told.isKnown())) return this.#later();
    // What was told before the rows are read is told without them.
    const told = this.#told.take();
    const found = await reader.read(read, isToClear(read) ? 0 : this.#limit);
    const stage = this.#stage;
    if (this.#isClosed || stage.is !== "reading") return;
    if (found === undefined) return this.#end(read, { state: "read" });
    const word = randomUUID();
    if (found === "keyless") {
      if (read.where !== undefined && read.where.length > 0) throw keyless(read);
      for (const xid of told) this.#told.add(xid);
      this.#stage = { is: "coming", word };
      hold(false);
      return this.#mark(word);
    }
    const { seen } = found;
    if (!this.#told.areSeen(told, seen)) return this.#later();
    const chunk = new Chunk(found.table, found.rows, seen);
    if (!stage.changes.every((change) => chunk.changed(change))) return this.#later();
    this.#stage = { is: "waiting", chunk, word, isLast: found.isLast };
    // What was held comes at once, and is noted no more.
    hold(false);
    this.#limit = nextChunkRows(this.#limit, found);
    if (this.#rows === 0) this.#estimated = isWhole(read) ? found.table.estimated : undefined;
    await this.#mark(word);
  }

  /** The log may bring the word before its writer has an answer, whose connection is then given back. */
  async #mark(word: string): Promise<void> {
    try {
      await this.#options.reader.mark(word);
    } catch (error) {
      if ("word" in this.#stage && this.#stage.word === word) throw error;
    }
  }

  /** Tries again, a moment later. */
  #later(): void {
    this.#stage = { is: "resting" };
    this.#options.hold(false);
    this.#running.add(timer(unseenMs).subscribe(() => this.resume()));
  }

  #tell(read: TableRead, chunk: Chunk, isLast: boolean, transaction: MessageTransaction): void {
    const tell = this.#teller(read, transaction);
    const { by } = chunk.table;
    const others = readsText(this.#reads.slice(1));
    const [start, end] = aroundKey({ ...read, by });
    // Rows are read only after that, so that what is told up to here is told without them.
    if (isToClear(read)) {
      this.#clear(read, tell);
      return;
    }
    chunk.tellWhile((number, after, key) => {
      if (!this.#isClosed) tell("r", number, after, `${start}${key}${end}${others}`);
      return !this.#isClosed;
    });
    if (this.#isClosed) return;
    this.#rows += chunk.size;
    const { lastKey } = chunk;
    if (isLast || lastKey === undefined) this.#done(read, { state: "read" });
    else {
      this.#left([{ ...read, after: lastKey, by }, ...this.#reads.slice(1)]);
      this.#progress(read, { state: "reading" });
    }
  }

  /**
   * Tells all rows of a table without a key behind a truncate, as of one moment, while the log waits; of what comes then, what
   * that moment has seen is not told again. Interrupted, it begins again.
   */
  async #tellWhole(read: TableRead, transaction: MessageTransaction): Promise<void> {
    const { reader, hold } = this.#options;
    const tell = this.#teller(read, transaction);
    let number = 1;
    let isBehind = false;
    let moment: Visibility | undefined;
    await reader.readWhole(
      read,
      (seen) => {
        moment = seen;
        isBehind = !this.#told.areSeen(this.#told.take(), seen);
        if (!isBehind) this.#clear(read, tell);
        return !isBehind;
      },
      async (table, rows) => {
        this.#estimated = table.estimated;
        new Chunk(table, rows, new Visibility("0:0:")).tellWhile((_, row) => {
          number += 1;
          if (!this.#isClosed) tell("r", number, row, this.#text);
          return !this.#isClosed;
        });
        this.#rows += rows.length;
        this.#progress(read, { state: "reading" });
        if (this.#options.isPaused())
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
      },
    );
    if (this.#isClosed) return;
    if (moment === undefined) return this.#end(read, { state: "read" });
    if (isBehind) return this.#later();
    const word = randomUUID();
    this.#stage = { is: "settling", word, table: read, seen: moment };
    hold(false);
    await this.#mark(word);
  }

  /** Says that all that was told of a table is gone. */
  #clear(read: TableRead, tell: Tell): void {
    this.#left([{ ...read, after: [] }, ...this.#reads.slice(1)]);
    tell("t", 1, null, this.#text);
  }

  /** Tells events of a table that stand in a transaction. */
  #teller({ schema, name: table }: TableName, { lsn, xid: txId, ts_ms }: MessageTransaction): Tell {
    const { db, emit } = this.#options;
    return (op, number, after, reads) => {
      const place = `${lsn}:${number}`;
      const source = { connector: "postgresql", db, schema, table, lsn, txId };
      emit({
        id: `${db}/${place}`,
        op,
        ts_ms,
        source,
        before: null,
        after,
        position: `${place}${reads}` as Lsn,
      });
    };
  }

  /** Ends a read that cannot be done: alone, where it was asked for, else with the source. */
  #watch(read: TableRead, reading: Promise<void>): void {
    reading.catch((error) => {
      if (this.#isClosed) return;
      if (read.where === undefined || !isRxaddError(error) || isRetryable(error)) this.#options.failed(error);
      else this.#end(read, { state: "refused", error });
    });
  }

  /** There is nothing to be read. */
  #end(read: TableRead, how: Ended): void {
    this.#stage = { is: "resting" };
    this.#options.hold(false);
    this.#done(read, how);
    this.resume();
  }

  /** On to the next table. */
  #done(read: TableRead, how: Ended): void {
    this.#progress(read, how);
    this.#rows = 0;
    this.#estimated = undefined;
    this.#isBegun = false;
    this.#limit = nextChunkRows();
    const next =
      read.where === undefined
        ? this.#options.tables.find((table) => ordTable.compare(table, read) > 0)
        : undefined;
    const { isAnew, where } = read;
    const others = this.#reads.slice(1);
    this.#left(next === undefined ? others : [{ ...next, after: undefined, isAnew, where }, ...others]);
  }

  /** What has begun to be read of a table is read once more, unless it will be anyway. */
  #again(table: TableName): void {
    const [first, ...others] = this.#reads;
    if (first === undefined || !isSame(first, table)) return;
    const { schema, name, after, where = [] } = first;
    if (this.#stage.is === "resting" && after === undefined) return;
    const again = { schema, name, after: undefined, isAnew: false, where };
    const isComing = (read: TableRead) =>
      read.where?.length === 0 || readsText([read]) === readsText([again]);
    if (!others.some((read) => isSame(read, table) && isComing(read))) this.#left([...this.#reads, again]);
  }

  #left(reads: readonly TableRead[]): void {
    this.#reads = reads;
    this.#text = readsText(reads);
    if (reads.length > 0) return;
    this.#options.reader.rest();
    this.#told.forget();
  }

  #progress(read: TableRead, how: Ended | { readonly state: "reading" }): void {
    const [rows, estimated] = [this.#rows, this.#estimated];
    this.#options.progress?.next({ table: shownTable(read), rows, estimated, ...how });
  }
}

/** Whether all rows of the table are still to come. */
function isWhole({ after = [], where = [] }: TableRead): boolean {
  return after.length === 0 && where.length === 0;
}

/** Whether a truncate of it is the next that is told. */
function isToClear({ isAnew, after }: TableRead): boolean {
  return isAnew && after === undefined;
}

function keyless(table: TableName): RxaddError {
  return postgresError(
    "NotConfigured",
    `where: found table ${shownTable(table)} without a primary key that is published, expected one: without it a table is read as a whole`,
  );
}

function isSame(a: TableName, b: TableName): boolean {
  return a.name === b.name && a.schema === b.schema;
}
