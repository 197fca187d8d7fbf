import type { Observer } from "rxjs";
import type { ChangeEvent, Row } from "../../../event/changeEvent.ts";
import type { Lsn } from "../../../event/lsn.ts";
import { guard } from "../../../telemetry/guard.ts";
import type { SnapshotProgress } from "../../../telemetry/snapshotProgress.ts";
import type { LogMessage, MessageTransaction } from "../pgoutput.ts";
import { postgresError } from "../postgresError.ts";
import type { TableChange } from "./chunk.ts";
import { MovedRows } from "./movedRows.ts";
import { type SnapshotReader, SnapshotWorker, type Tell, type WorkerOptions } from "./snapshotWorker.ts";
import {
  isSameTable,
  ordTable,
  readsText,
  shownTable,
  type TableName,
  type TableRead,
  whereOf,
} from "./tableRead.ts";
import { watermark } from "./tableReader.ts";

export interface SnapshotOptions extends Pick<WorkerOptions, "failed" | "isPaused" | "hold"> {
  /** The database's name: with the position it makes an event's id. */
  readonly db: string;
  /** What is left to be read. */
  readonly reads: readonly TableRead[];
  /** All tables that are published, in order. */
  readonly tables: readonly TableName[];
  /** One for each table that is read at a time. */
  readonly readers: readonly SnapshotReader[];
  readonly emit: (event: ChangeEvent<Row, Lsn>) => void;
  readonly progress?: Pick<Observer<SnapshotProgress>, "next"> | undefined;
}

/** How long what follows the place in a position may be before another request is refused. */
const maxText = 10_000;

/**
 * Reads the rows of tables between the changes of the log: a piece of a table at a time, by its key, and each where the log says
 * that it belongs.
 *
 * A piece is read as of one moment, and then a word, the watermark, is written into the log. When the log comes to it, every change that
 * the moment has not seen, and that was made before the word, has been told; such a change takes the place of its row. So for
 * each key what is told last is what is newest. How far it is stands in each position. While a piece waits for its word, the next one is read.
 *
 * A transaction whose commit is in the log may yet be unseen, for as long as a standby takes to confirm it. Where one that was told before
 * the rows were read was not seen by them, they are read again; and they are not read until it is known of all that ran when it
 * began to remember whether they had been told.
 *
 * A table without a key is read as a whole, while the log waits.
 *
 * - **Memory** that of each worker.
 */
export class Snapshot {
  readonly #options: SnapshotOptions;
  readonly #workers: readonly SnapshotWorker[];
  readonly #moved = new MovedRows();
  /** What it throws would end the process, where it is told of rows that waited, and leave the log held. */
  readonly #guarded = guard((message) => process.emitWarning(`postgresChanges: ${message}`, "RxaddWarning"));
  /** Those that want the log to wait. */
  readonly #holding = new Set<SnapshotReader>();
  #reads: readonly TableRead[] = [];
  #text = "";

  constructor(options: SnapshotOptions) {
    this.#options = options;
    this.#workers = options.readers.map((reader) => this.#worker(reader));
    this.#left(options.reads);
  }

  /** What follows the place in each position: how far it is. */
  get text(): string {
    return this.#text;
  }

  /** Goes on, if anything is left and nobody asked to pause. */
  resume(): void {
    for (const worker of this.#workers) if (worker.read === undefined) worker.take(this.#next());
    for (const worker of this.#workers) worker.resume();
  }

  /** Adds tables to what is to be read, unless the same is to come already. It stands in each position: of too many one is refused. */
  ask(read: TableRead): void {
    const asked = readsText([read]);
    if (this.#reads.some((each) => readsText([each]) === asked && !this.#isBegun(each))) return;
    if (this.#text.length <= maxText) {
      this.#left([...this.#reads, read]);
      this.resume();
      return;
    }
    const table = shownTable(read);
    const error = postgresError(
      "Refused",
      `backfill: found ${this.#reads.length} requests that wait, expected fewer: ask for the rows of ${table} again when those are read`,
    );
    this.#progress({ table, rows: 0, estimated: undefined, state: "refused", error });
  }

  /** Adds all tables, each behind a truncate, unless they are about to be read so. */
  askAnew(): void {
    const [first] = this.#options.tables;
    if (first === undefined) return;
    const isComing = (read: TableRead) =>
      read.isAnew && read.after === undefined && read.scope === "onward" && isSameTable(read, first);
    if (!this.#reads.some(isComing)) this.ask({ ...first, after: undefined, isAnew: true, scope: "onward" });
  }

  /** Takes note of a change that is about to be told; returns whether it is to be: it may have been told with the rows. */
  changed(change: TableChange): boolean {
    if (this.#reads.length === 0) return true;
    const { table, before, after, unchanged } = change;
    let isToTell = true;
    for (const worker of this.#workers) isToTell = worker.changed(change) && isToTell;
    if (!isToTell) return false;
    // A row that moves to another key without its large columns may not have been read under its old one, nor ever be.
    if (before !== null && after !== null && unchanged.length > 0 && this.#moved.moved(table, before, after))
      this.#again(table);
    return true;
  }

  /** Tells the truncate, or the rows, that wait for this message. */
  message({ prefix, content }: LogMessage, transaction: MessageTransaction | undefined): void {
    if (transaction === undefined || prefix !== watermark || this.#reads.length === 0) return;
    const word = content.toString();
    for (const worker of this.#workers) if (worker.reach(word, transaction)) return;
  }

  close(): void {
    for (const worker of this.#workers) worker.close();
  }

  #worker(reader: SnapshotReader): SnapshotWorker {
    const { failed, isPaused } = this.#options;
    return new SnapshotWorker({
      ...{ reader, failed, isPaused, moved: this.#moved },
      progress: (how) => this.#progress(how),
      hold: (isHeld) => this.#hold(reader, isHeld),
      teller: (read, transaction) => this.#teller(read, transaction),
      reached: (from, to) => this.#left(this.#reads.map((read) => (read === from ? to : read))),
      ended: (read) => this.#ended(read),
    });
  }

  #progress(how: SnapshotProgress): void {
    this.#guarded("progress", () => this.#options.progress?.next(how));
  }

  #readerOf(read: TableRead): SnapshotWorker | undefined {
    return this.#workers.find((worker) => worker.read === read);
  }

  /**
   * What may be begun next: the first that nobody reads, or the table behind one that somebody does. Of two requests for a table the second one
   * waits for the first one, and so does what is behind it.
   */
  #next(): TableRead | undefined {
    const before: TableRead[] = [];
    for (const read of this.#reads) {
      if (before.some((each) => isSameTable(each, read))) return undefined;
      const reader = this.#readerOf(read);
      if (reader === undefined) return read;
      before.push(read);
      const next = this.#behind(read);
      if (next === undefined) continue;
      if (before.some((each) => isSameTable(each, next))) return undefined;
      const alone: TableRead = { ...read, scope: "alone" };
      reader.take(alone);
      this.#left(this.#reads.flatMap((each) => (each === read ? [alone, next] : [each])));
      return next;
    }
    return undefined;
  }

  /** The table that is to be read after this one. */
  #behind({ isAnew, scope, ...table }: TableRead): TableRead | undefined {
    if (scope !== "onward") return undefined;
    const next = this.#options.tables.find((each) => ordTable.compare(each, table) > 0);
    return next && { ...next, after: undefined, isAnew, scope };
  }

  #ended(read: TableRead): void {
    const next = this.#behind(read);
    this.#left(this.#reads.flatMap((each) => (each === read ? (next ?? []) : [each])));
    if (!this.#reads.some((each) => isSameTable(each, read))) this.#moved.forget(read);
    this.resume();
  }

  #hold(reader: SnapshotReader, isHeld: boolean): void {
    if (isHeld === this.#holding.has(reader)) return;
    if (isHeld) this.#holding.add(reader);
    else this.#holding.delete(reader);
    this.#options.hold(this.#holding.size > 0);
  }

  /** Tells events of a table that stand in a transaction. */
  #teller(read: TableRead, { lsn, xid: txId, ts_ms }: MessageTransaction): Tell {
    const { db, emit } = this.#options;
    const { schema, name: table } = read;
    const at = this.#reads.findIndex((each) => isSameTable(each, read));
    const before = readsText(this.#reads.slice(0, at));
    const behind = readsText(this.#reads.slice(at + 1));
    const start = `${lsn}:`;
    const id = `${db}/${start}`;
    return (op, number, after, reached) => {
      const source = { connector: "postgresql", db, schema, table, lsn, txId };
      const position = `${start}${number}${before}${reached}${behind}` as Lsn;
      emit({ id: `${id}${number}`, op, ts_ms, source, before: null, after, position });
    };
  }

  /** Whether rows of it are read, or were, also by a process that had more connections. */
  #isBegun(read: TableRead): boolean {
    return read.after !== undefined || this.#readerOf(read)?.isResting === false;
  }

  /** What has begun to be read of a table is read once more, unless it will be anyway. */
  #again(table: TableName): void {
    const read = this.#reads.find((each) => isSameTable(each, table) && this.#isBegun(each));
    if (read === undefined) return;
    const { schema, name } = read;
    const again = { schema, name, after: undefined, isAnew: false, scope: whereOf(read) };
    const isComing = (each: TableRead) =>
      each !== read &&
      isSameTable(each, table) &&
      ((typeof each.scope !== "string" && each.scope.length === 0) ||
        readsText([each]) === readsText([again]));
    if (!this.#reads.some(isComing)) this.#left([...this.#reads, again]);
  }

  #left(reads: readonly TableRead[]): void {
    this.#reads = reads;
    this.#text = readsText(reads);
  }
}
