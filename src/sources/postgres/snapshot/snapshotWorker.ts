import { randomUUID } from "node:crypto";
import { Subscription, timer } from "rxjs";
import { isRetryable, isRxaddError, type RxaddError } from "../../../errors/rxaddError.ts";
import type { Row } from "../../../event/changeEvent.ts";
import type { SnapshotProgress } from "../../../telemetry/snapshotProgress.ts";
import type { MessageTransaction } from "../pgoutput.ts";
import { postgresError } from "../postgresError.ts";
import { Chunk, type TableChange } from "./chunk.ts";
import type { MovedRows } from "./movedRows.ts";
import { type FoundPiece, type Piece, PieceReader } from "./pieceReader.ts";
import {
  aroundKey,
  isSameTable,
  isToClear,
  type Reached,
  readsText,
  shownTable,
  type TableRead,
  whereOf,
} from "./tableRead.ts";
import type { TableReader } from "./tableReader.ts";
import { Visibility } from "./visibility.ts";

/** What a snapshot reads tables by. */
export type SnapshotReader = Pick<TableReader, "look" | "read" | "mark" | "rest" | "readWhole">;

/** Tells an event: its number in its transaction, the row, and how far its table is, as it stands in a position. */
export type Tell = (op: "r" | "t", number: number, after: Row | null, reached: string) => void;

/** What a worker has of its snapshot. */
export interface WorkerOptions {
  readonly reader: SnapshotReader;
  readonly moved: MovedRows;
  /** Whether nothing is to be told now. */
  readonly isPaused: () => boolean;
  /** Told to stop reading the log, and to go on. */
  readonly hold: (isHeld: boolean) => void;
  readonly failed: (error: unknown) => void;
  /** Makes what tells of a table, in a transaction. */
  readonly teller: (read: TableRead, transaction: MessageTransaction) => Tell;
  /** Told how far it is. */
  readonly reached: (from: TableRead, to: TableRead) => void;
  /** Told that it is done. */
  readonly ended: (read: TableRead) => void;
  /** Told how many rows were told, and of the end. */
  readonly progress: (progress: SnapshotProgress) => void;
}

/** Rows, or a truncate, that wait for their place in the log. */
interface Waiting extends Piece {
  readonly word: string;
}

interface Telling {
  readonly transaction: MessageTransaction;
  at: number;
  /** Whoever is told of a row may ask to go on. */
  isBusy: boolean;
}

/**
 * What goes on with a table: pieces of it wait, while the next one may be read. Or it is read as a whole: its place in the log is waited
 * for; its rows are told, while the log waits; the log comes to where they were read.
 */
type Stage =
  | { readonly is: "pieces"; readonly waiting: readonly Waiting[] }
  | { readonly is: "coming"; readonly word: string }
  | { readonly is: "telling" }
  | { readonly is: "settling"; readonly word: string; readonly seen: Visibility };

/** How the reading of a table has ended. */
type Ended = { readonly state: "read" } | { readonly state: "refused"; readonly error: RxaddError };

const resting: Stage = { is: "pieces", waiting: [] };
/** So many pieces of a table are there at most: one is told, while the next one is read. */
const maxPieces = 2;
/** How long a transaction that is told, and not yet seen, is waited for. */
const unseenMs = 50;

/**
 * Reads one table at a time, by a connection of its own.
 *
 * - **Memory** two pieces of the table, and what is noted while one is read.
 */
export class SnapshotWorker {
  readonly #options: WorkerOptions;
  readonly #pieces: PieceReader;
  readonly #running = new Subscription();
  #read: TableRead | undefined;
  #stage: Stage = resting;
  /** Where the first of the pieces is being told, and up to which row it is. */
  #telling: Telling | undefined;
  /** Whether the first piece was asked for. */
  #isBegun = false;
  #rows = 0;
  #estimated: number | undefined;
  /** Goes on with what waits while it is paused. */
  #wake: (() => void) | undefined;
  #isClosed = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#pieces = new PieceReader(options.reader, () => options.hold(true));
  }

  /** What it reads; undefined: nothing. */
  get read(): TableRead | undefined {
    return this.#read;
  }

  /** Whether nothing of its table is being read, nor waits to be told. */
  get isResting(): boolean {
    return this.#stage === resting && !this.#pieces.isReading;
  }

  /** Takes a table, or what has become of its own; undefined: there is none for it. */
  take(read: TableRead | undefined): void {
    this.#read = read;
    if (read === undefined) this.#pieces.rest();
  }

  /** Goes on, if anything is left and nobody asked to pause. */
  resume(): void {
    if (this.#options.isPaused()) return;
    this.#wake?.();
    this.#wake = undefined;
    this.#tellOn();
    this.#readOn();
  }

  /** Takes note of a change that is about to be told; returns whether it is to be: it may have been told with the rows. */
  changed(change: TableChange): boolean {
    const { table, xid } = change;
    if (this.#read === undefined) return true;
    this.#pieces.told(xid);
    if (!isSameTable(this.#read, table)) return true;
    const stage = this.#stage;
    if (stage.is === "settling" && stage.seen.sees(xid)) return false;
    this.#pieces.changed(change);
    if (stage.is !== "pieces") return true;
    const outdated = stage.waiting.findIndex(({ chunk }) => !chunk.changed(change));
    if (outdated < 0) return true;
    this.#wait(stage.waiting.slice(0, outdated));
    this.#pieces.drop();
    this.#later();
    return true;
  }

  /** Tells the truncate, or the rows, that wait for this word; returns whether some did. */
  reach(word: string, transaction: MessageTransaction): boolean {
    const [read, stage] = [this.#read, this.#stage];
    if (read === undefined || !isWaitingFor(stage, word)) return false;
    if (stage.is === "pieces") {
      this.#telling = { transaction, at: 0, isBusy: false };
      this.#tellOn();
      this.#readOn();
    } else if (stage.is === "settling") this.#end({ state: "read" });
    else {
      this.#stage = { is: "telling" };
      this.#options.hold(true);
      this.#tellWhole(read, transaction).catch((error) => this.#fail(error));
    }
    return true;
  }

  close(): void {
    this.#isClosed = true;
    this.#pieces.drop();
    this.#running.unsubscribe();
    this.#pieces.rest();
  }

  /** Reads the next piece, unless one is being read. */
  #readOn(): void {
    const [read, from] = [this.#read, this.#next()];
    if (read === undefined || from === undefined || this.#isClosed || this.#options.isPaused()) return;
    if (!this.#isBegun && isWhole(read)) this.#options.moved.begin(read, read.isAnew);
    this.#isBegun = true;
    this.#pieces.read(from, (found) => this.#found(from, found)).catch((error) => this.#fail(error));
  }

  /** Where the next piece is to be read; undefined: nowhere, yet. */
  #next(): TableRead | undefined {
    const [read, stage] = [this.#read, this.#stage];
    if (read === undefined || stage.is !== "pieces" || this.#pieces.isReading) return undefined;
    if (stage.waiting.length === 0) return read;
    const end = stage.waiting.at(-1)?.end;
    // Rows are read only after the truncate that goes ahead of them: what is told up to there is told without them.
    if (end === undefined || isToClear(read) || stage.waiting.length === maxPieces) return undefined;
    return { ...read, ...end };
  }

  #found(from: TableRead, found: FoundPiece): void {
    const waiting = waitingIn(this.#stage);
    if (found === "again") this.#later();
    // Behind pieces that wait it is found once more.
    else if (typeof found === "string" && waiting.length > 0) this.#letGo();
    else if (found === "none") this.#end({ state: "read" }, false);
    else if (found === "keyless" && whereOf(from).length > 0) this.#fail(keyless(from));
    else {
      const word = randomUUID();
      if (found === "keyless") this.#stage = { is: "coming", word };
      else {
        if (this.#rows === 0) this.#estimated = isWhole(from) ? found.chunk.table.estimated : undefined;
        this.#wait([...waiting, { ...found, word }]);
      }
      // What was held comes at once, and is noted no more.
      this.#letGo();
      this.#mark(word);
      this.#readOn();
    }
  }

  /** The log may bring the word before its writer has an answer, whose connection is then given back. */
  #mark(word: string): void {
    this.#options.reader.mark(word).catch((error) => {
      if (isWaitingFor(this.#stage, word)) this.#fail(error);
    });
  }

  /** Lets the log go on, unless something is being told. */
  #letGo(): void {
    if (this.#telling === undefined && this.#stage.is !== "telling") this.#options.hold(false);
  }

  /** Tries again, a moment later. */
  #later(): void {
    this.#letGo();
    this.#running.add(timer(unseenMs).subscribe(() => this.resume()));
  }

  /** Tells the first of the pieces, from where it stopped; while it is paused the log waits. */
  #tellOn(): void {
    const [read, telling, [piece, ...behind]] = [this.#read, this.#telling, waitingIn(this.#stage)];
    if (read === undefined || telling === undefined || telling.isBusy || piece === undefined) return;
    const { teller, isPaused, hold } = this.#options;
    const { chunk, end } = piece;
    const tell = teller(read, telling.transaction);
    const [start, stop] = aroundKey({ ...read, by: chunk.table.by });
    telling.isBusy = true;
    while (telling.at < chunk.size && !this.#isClosed && !isPaused())
      telling.at = chunk.tellFrom(telling.at, (number, after, key) => {
        tell("r", number, after, `${start}${key}${stop}`);
        return !this.#isClosed && !isPaused();
      });
    telling.isBusy = false;
    if (this.#isClosed) return;
    if (isPaused()) {
      hold(true);
      return;
    }
    this.#telling = undefined;
    this.#wait(behind);
    this.#rows += chunk.size;
    if (end === undefined) this.#end({ state: "read" });
    else if (isToClear(read)) this.#clear(tell);
    else {
      this.#reach(end);
      this.#progress({ state: "reading" });
    }
    this.#letGo();
  }

  /**
   * Tells all rows of a table without a key behind a truncate, as of one moment, while the log waits; of what comes then, what
   * that moment has seen is not told again. Interrupted, it begins again.
   */
  async #tellWhole(read: TableRead, transaction: MessageTransaction): Promise<void> {
    const { reader, teller, isPaused } = this.#options;
    let number = 1;
    let isBehind = false;
    let seen: Visibility | undefined;
    await reader.readWhole(
      read,
      (moment) => {
        seen = moment;
        isBehind = !this.#pieces.isSeen(moment);
        if (!isBehind) this.#clear(teller(read, transaction));
        return !isBehind;
      },
      async (table, rows) => {
        this.#estimated = table.estimated;
        const chunk = new Chunk(table, rows, new Visibility("0:0:"));
        const tell = teller(read, transaction);
        const reached = readsText([{ ...read, after: [] }]);
        for (let at = 0; at < chunk.size && !this.#isClosed; ) {
          if (isPaused())
            await new Promise<void>((resolve) => {
              this.#wake = resolve;
            });
          at = chunk.tellFrom(at, (_, row) => {
            number += 1;
            tell("r", number, row, reached);
            return !this.#isClosed && !isPaused();
          });
        }
        this.#rows += rows.length;
        this.#progress({ state: "reading" });
      },
    );
    if (this.#isClosed) return;
    if (seen === undefined) return this.#end({ state: "read" });
    if (isBehind) {
      this.#stage = resting;
      return this.#later();
    }
    const word = randomUUID();
    this.#stage = { is: "settling", word, seen };
    this.#letGo();
    this.#mark(word);
  }

  /** Says that all that was told of the table is gone. */
  #clear(tell: Tell): void {
    this.#reach({ after: [] });
    if (this.#read !== undefined) tell("t", 1, null, readsText([this.#read]));
  }

  #reach(end: Reached): void {
    const from = this.#read;
    if (from === undefined) return;
    this.#read = { ...from, ...end };
    this.#options.reached(from, this.#read);
  }

  /** Ends a read that cannot be done: alone, where it was asked for, else with the source. */
  #fail(error: unknown): void {
    if (this.#isClosed) return;
    const isAsked = typeof this.#read?.scope === "object";
    if (isAsked && isRxaddError(error) && !isRetryable(error)) this.#end({ state: "refused", error }, false);
    else this.#options.failed(error);
  }

  /** On to the next table; `isWhole`: all rows of this one were told. */
  #end(how: Ended, isWhole = true): void {
    this.#progress(how);
    const read = this.#read;
    if (read !== undefined && !isWhole) this.#options.moved.forget(read);
    this.#pieces.turn();
    this.#read = undefined;
    this.#stage = resting;
    this.#telling = undefined;
    this.#rows = 0;
    this.#estimated = undefined;
    this.#isBegun = false;
    if (read !== undefined) this.#options.ended(read);
    // What comes at once is noted as a change of the next one.
    this.#letGo();
  }

  #wait(waiting: readonly Waiting[]): void {
    this.#stage = waiting.length === 0 ? resting : { is: "pieces", waiting };
  }

  #progress(how: Ended | { readonly state: "reading" }): void {
    const [read, rows, estimated] = [this.#read, this.#rows, this.#estimated];
    if (read !== undefined) this.#options.progress({ table: shownTable(read), rows, estimated, ...how });
  }
}

function waitingIn(stage: Stage): readonly Waiting[] {
  return stage.is === "pieces" ? stage.waiting : [];
}

function isWaitingFor(stage: Stage, word: string): boolean {
  return "word" in stage ? stage.word === word : waitingIn(stage).some((piece) => piece.word === word);
}

/** Whether all rows of the table are still to come. */
function isWhole(read: TableRead): boolean {
  return (read.after ?? []).length === 0 && whereOf(read).length === 0;
}

function keyless(table: TableRead): RxaddError {
  return postgresError(
    "NotConfigured",
    `where: found table ${shownTable(table)} without a primary key that is published, expected one: without it a table is read as a whole`,
  );
}
