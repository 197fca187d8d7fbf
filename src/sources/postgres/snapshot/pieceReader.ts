import { Chunk, type TableChange } from "./chunk.ts";
import { nextChunkRows } from "./chunkRows.ts";
import { isToClear, type Reached, type TableRead } from "./tableRead.ts";
import type { Found, TableReader } from "./tableReader.ts";
import { ToldTransactions } from "./toldTransactions.ts";
import type { Visibility } from "./visibility.ts";

/** Rows of a table, up to date with what was told while they were read. */
export interface Piece {
  readonly chunk: Chunk;
  /** How far the table is read behind it; undefined: to its end. */
  readonly end: Reached | undefined;
}

/**
 * What the reading of a piece has found: it; that the table has no key, or is none that is published; or that it has to be read again, since what
 * was told before it is not seen yet, or a change does not fit to it.
 */
export type FoundPiece = Piece | "keyless" | "none" | "again";

/** What is told while a piece is read. */
interface Noted {
  readonly changes: TableChange[];
  bytes: number;
  /** The transactions that were told before it, and that it has to see. */
  told: ReadonlySet<number>;
}

/** So many changes of the table are noted while its rows are read, and so many bytes of them; then the log waits. */
const maxNoted = 10_000;
const maxNotedBytes = 16 * 1024 * 1024;

/**
 * Reads a table a piece at a time, each as of a moment that has seen all that was told before it.
 *
 * - **Memory** while a piece is read 10,000 changes of its table, or 16 MiB of them.
 */
export class PieceReader {
  readonly #reader: Pick<TableReader, "look" | "read" | "rest">;
  readonly #told: ToldTransactions;
  readonly #full: () => void;
  #noted: Noted | undefined;
  #limit = nextChunkRows();

  /** @param full - told that no more changes are to come while the piece is read */
  constructor(reader: Pick<TableReader, "look" | "read" | "rest">, full: () => void) {
    this.#reader = reader;
    this.#told = new ToldTransactions(() => reader.look());
    this.#full = full;
  }

  get isReading(): boolean {
    return this.#noted !== undefined;
  }

  /** Takes note of a transaction that is told. */
  told(xid: number): void {
    this.#told.add(xid);
  }

  /** Takes note of a change of the table that is about to be told. */
  changed(change: TableChange): void {
    const noted = this.#noted;
    if (noted === undefined) return;
    const { before, after, bytes } = change;
    // Whoever gets the event may change it.
    noted.changes.push({ ...change, ...structuredClone({ before, after }) });
    noted.bytes += bytes;
    if (noted.changes.length >= maxNoted || noted.bytes >= maxNotedBytes) this.#full();
  }

  /** Whether a moment has seen all that was told; if not, a piece is read only once it is seen. */
  isSeen(moment: Visibility): boolean {
    return this.#told.areSeen(this.#told.take(), moment);
  }

  /**
   * Reads the piece from here on; of a table that is read anew first one without rows.
   *
   * - **Errors** it rejects with those of the reader.
   *
   * @param found - told at once, so that no change comes in between; never of what was dropped
   */
  async read(from: TableRead, found: (piece: FoundPiece) => void): Promise<void> {
    const noted: Noted = { changes: [], bytes: 0, told: new Set() };
    this.#noted = noted;
    let rows: Found | "unknown" | undefined = "unknown";
    try {
      const isKnown = await this.#told.isKnown();
      if (this.#noted !== noted) return;
      if (isKnown) {
        noted.told = this.#told.take();
        rows = await this.#reader.read(from, isToClear(from) ? 0 : this.#limit);
      }
    } catch (error) {
      if (this.#noted !== noted) return;
      this.drop();
      throw error;
    }
    if (this.#noted === noted) found(this.#found(from, rows, noted));
  }

  /** Does without the piece that is being read. */
  drop(): void {
    for (const xid of this.#noted?.told ?? []) this.#told.add(xid);
    this.#noted = undefined;
  }

  /** Goes on with another table. */
  turn(): void {
    this.drop();
    this.#limit = nextChunkRows();
  }

  /** Gives the connection back: there is nothing to be read. */
  rest(): void {
    this.#reader.rest();
    this.#told.forget();
  }

  #found(from: TableRead, found: Found | "unknown" | undefined, noted: Noted): FoundPiece {
    if (found === undefined || found === "keyless") {
      this.drop();
      return found ?? "none";
    }
    this.#noted = undefined;
    if (found === "unknown" || !this.#told.areSeen(noted.told, found.seen)) return "again";
    const { table, rows, seen, isLast } = found;
    const chunk = new Chunk(table, rows, seen);
    if (!noted.changes.every((change) => chunk.changed(change))) return "again";
    this.#limit = nextChunkRows(this.#limit, found);
    return { chunk, end: endOf(from, chunk, isLast) };
  }
}

/** How far a table is read behind a piece; undefined: to its end. */
function endOf(from: TableRead, { lastKey, table }: Chunk, isLast: boolean): Reached | undefined {
  if (isToClear(from)) return { after: [] };
  return isLast || lastKey === undefined ? undefined : { after: lastKey, by: table.by };
}
