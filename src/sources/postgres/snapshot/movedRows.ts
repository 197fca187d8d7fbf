import type { Row } from "../../../event/changeEvent.ts";
import { quotedTable } from "./table.ts";
import type { TableName } from "./tableRead.ts";

/** Of so many rows of a table it is remembered that they moved; of more than that it is any. */
const maxRows = 100_000;

/** Keys of rows; undefined: any row. */
type Keys = ReadonlySet<string> | undefined;

/**
 * Rows that moved to another key without their large columns before those were told: if the new key lies where rows have been read
 * already, only another reading of the table tells the whole row. Rows that were told before move with all that they have, so that
 * readings come to an end however many rows move.
 *
 * - **Memory** the keys of 200,000 rows of each table that is read.
 */
export class MovedRows {
  readonly #tables = new Map<string, { readonly before: Keys; since: Set<string> | undefined }>();

  /** The reading of a whole table begins, behind that of the one before; `isAnew`: and behind a truncate. */
  begin(table: TableName, isAnew: boolean): void {
    const name = quotedTable(table);
    const before = isAnew ? undefined : this.#tables.get(name)?.since;
    this.#tables.set(name, { before, since: new Set() });
  }

  /** Not all of its rows were told, or what was told may be outdated when they are read again. */
  forget(table: TableName): void {
    this.#tables.delete(quotedTable(table));
  }

  /** Takes note of a row that moves without all of its columns; returns whether some may never have been told. */
  moved(table: TableName, from: Row, to: Row): boolean {
    const rows = this.#tables.get(quotedTable(table));
    if (rows === undefined) return true;
    const { before, since } = rows;
    const key = JSON.stringify(Object.values(from));
    if (before !== undefined && since !== undefined && !before.has(key) && !since.has(key)) return false;
    since?.add(JSON.stringify(Object.keys(from).map((column) => to[column])));
    if (since?.size === maxRows) rows.since = undefined;
    return true;
  }
}
