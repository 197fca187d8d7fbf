import type { Operation, Row } from "../../../event/changeEvent.ts";
import { columnReader } from "../columnValues.ts";
import { MessageReader } from "../messageReader.ts";
import { type Column, setColumn } from "../relation.ts";
import type { Table } from "./table.ts";
import { keyText } from "./tableRead.ts";
import type { Visibility } from "./visibility.ts";

/** Where a row lies, as the server has sent it. */
export interface SentRow {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/** A table, as the log describes it. */
export type ChangedTable = Pick<Table, "schema" | "name" | "columns">;

/** What has changed in a table. */
export interface TableChange {
  readonly table: ChangedTable;
  /** Its transaction. */
  readonly xid: number;
  readonly op: Operation;
  readonly before: Row | null;
  readonly after: Row | null;
  /** Large columns that were not touched, and are not told. */
  readonly unchanged: readonly string[];
  /** How large it is in the log. */
  readonly bytes: number;
}

const asText = (buffer: Buffer, start: number, end: number): string => buffer.toString("utf8", start, end);
const passedOver = (): undefined => undefined;

/** What has become of a row since it was read: columns that were changed, where not all of them were told; or all is told. */
type Since = Row | "told";

/**
 * Rows of a table as one moment has seen them, kept up to date until they are told: what changes a row after that moment, and is
 * told before the rows, takes the row's place.
 *
 * - **Memory** the rows, and what has changed of them.
 */
export class Chunk {
  readonly table: Table;
  readonly #rows: readonly SentRow[];
  readonly #seen: Visibility;
  readonly #reader = new MessageReader();
  readonly #columns: readonly Pick<Column, "name" | "readNext">[];
  /** Which part of the key each column is, if it is one, up to the last that is. */
  readonly #parts: readonly number[];
  readonly #key: string[];
  /** Which row has a key; made when the first of them may have changed. */
  #numbers: ReadonlyMap<string, number> | undefined;
  readonly #since = new Map<number, Since>();
  #isCleared = false;
  /** The description that fits this table. */
  #fitting: ChangedTable | undefined;

  constructor(table: Table, rows: readonly SentRow[], seen: Visibility) {
    this.table = table;
    this.#rows = rows;
    this.#seen = seen;
    const { key, columns } = table;
    this.#columns = columns.map(({ name, read }) => ({ name, readNext: columnReader(read) }));
    this.#key = key.map(() => "");
    this.#parts = Array.from({ length: Math.max(...key) + 1 }, (_, column) => key.indexOf(column));
  }

  get size(): number {
    return this.#rows.length;
  }

  /** The key of the last row, as texts. */
  get lastKey(): readonly string[] | undefined {
    const last = this.#rows.at(-1);
    return last && [...this.#keyOf(last)];
  }

  /**
   * Takes note of a change of this table that is told before these rows. Returns whether it can: a table whose key has another
   * name or type by now, or whose rows are told apart by something else, has to be read once more.
   */
  changed({ table, xid, op, before, after, unchanged }: TableChange): boolean {
    if (this.#seen.sees(xid)) return true;
    if (op === "t") {
      this.#isCleared = true;
      return true;
    }
    if (!this.#fits(table) || !this.#hasKey(before) || !this.#hasKey(after)) return false;
    const old = before === null ? undefined : this.#numberOf(before);
    const now = after === null ? undefined : this.#numberOf(after);
    if (old !== undefined && old !== now) this.#since.set(old, "told");
    if (now === undefined || after === null) return true;
    const since = this.#since.get(now);
    if (since === "told") return true;
    if (unchanged.length > 0 && !this.#hasColumns(after)) return false;
    // Of an update the log leaves out large columns that it did not touch: those of the row as it was read are right.
    this.#since.set(now, unchanged.length === 0 ? "told" : { ...since, ...structuredClone(after) });
    return true;
  }

  /**
   * Tells the rows that are to be told from this one on, counted from 0, until told to stop: each with its number, from 1, as it is now, and its
   * key as in a position. Returns behind which one it stopped.
   */
  tellFrom(first: number, tell: (number: number, row: Row, key: string) => boolean): number {
    if (this.#isCleared) return this.size;
    for (let at = first; ; at += 1) {
      const sent = this.#rows[at];
      if (sent === undefined) return at;
      const since = this.#since.get(at);
      if (since === "told") continue;
      const row = this.#rowOf(sent);
      const now = since === undefined ? row : { ...row, ...since };
      if (!tell(at + 1, now, keyText(this.#keyOf(sent)))) return at + 1;
    }
  }

  #fits(changed: ChangedTable): boolean {
    if (changed === this.#fitting) return true;
    const { columns, key } = this.table;
    const isThere = (column: number) =>
      changed.columns.some(
        ({ name, read }) => name === columns[column]?.name && read === columns[column]?.read,
      );
    if (!key.every(isThere)) return false;
    this.#fitting = changed;
    return true;
  }

  #hasKey(row: Row | null): boolean {
    const { columns, key } = this.table;
    return row === null || key.every((column) => Object.hasOwn(row, columns[column]?.name ?? ""));
  }

  #hasColumns(row: Row): boolean {
    return Object.keys(row).every((name) => this.table.columns.some((column) => column.name === name));
  }

  #numberOf(row: Row): number | undefined {
    this.#numbers ??= new Map(this.#rows.map((sent, index) => [this.#idOf(this.#rowOf(sent)), index]));
    return this.#numbers.get(this.#idOf(row));
  }

  #idOf(row: Row): string {
    const { columns, key } = this.table;
    return JSON.stringify(key.map((column) => row[columns[column]?.name ?? ""]));
  }

  #rowOf({ buffer, start, end }: SentRow): Row {
    const reader = this.#reader;
    const row: Record<string, unknown> = {};
    reader.open(buffer, start, end);
    reader.uint16(); // how many columns there are
    for (const { name, readNext } of this.#columns) setColumn(row, name, reader.nullable(readNext));
    reader.checkEnd();
    return row;
  }

  /** The key of a row, as texts; the next one is written over it. */
  #keyOf({ buffer, start, end }: SentRow): readonly string[] {
    const reader = this.#reader;
    reader.open(buffer, start, end);
    reader.uint16();
    for (const part of this.#parts) {
      if (part < 0) reader.nullable(passedOver);
      else this.#key[part] = `${reader.nullable(asText)}`;
    }
    return this.#key;
  }
}
