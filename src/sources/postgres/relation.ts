import type { Row } from "../../event/changeEvent.ts";
import { columnReader, type ReadValue, valueReader } from "./columnValues.ts";
import { type MessageReader, unexpected } from "./messageReader.ts";

export interface Column {
  readonly name: string;
  readonly isKey: boolean;
  /** The same for all columns of its type. */
  readonly read: ReadValue;
  /** Likewise for it alone, a row after the other. */
  readonly readNext: ReadValue;
}

/** A table, as the server has last described it. */
export interface Relation {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly Column[];
}

const kinds = { null: 0x6e, text: 0x74, unchanged: 0x75 } as const;

/** Reads a description, after its OID. */
export function readRelation(reader: MessageReader): Relation {
  const schema = reader.text();
  const name = reader.text();
  reader.byte(); // which columns are the replica identity: each of them says so itself
  const columns = Array.from({ length: reader.uint16() }, (): Column => {
    const isKey = (reader.byte() & 1) === 1;
    const column = reader.text();
    const read = valueReader(reader.uint32());
    reader.uint32(); // the type's modifier
    return { name: column, isKey, read, readNext: columnReader(read) };
  });
  return { schema, name, columns };
}

/** Reads a row; `unchanged` is given the names of large values that the log does not hold, unless `old` has them. */
export function readRow(
  reader: MessageReader,
  relation: Relation,
  old: Row | null = null,
  unchanged?: string[],
): Row {
  const row: Record<string, unknown> = {};
  for (const { name, readNext } of sentColumns(reader, relation)) {
    const kind = reader.byte();
    if (kind === kinds.text) setColumn(row, name, reader.value(readNext));
    else if (kind === kinds.null) setColumn(row, name, null);
    else if (kind !== kinds.unchanged) unexpected(`a value of kind ${kind}`, "one of n t u");
    else if (old !== null && Object.hasOwn(old, name)) setColumn(row, name, old[name]);
    else unchanged?.push(name);
  }
  return row;
}

/** Reads a key, sent as a row where null stands for what is no part of it. */
export function readKey(reader: MessageReader, relation: Relation): Row {
  const key: Record<string, unknown> = {};
  for (const { name, isKey, read } of sentColumns(reader, relation)) {
    const kind = reader.byte();
    const value = kind === kinds.text ? reader.value(read) : null;
    if (isKey && value !== null) setColumn(key, name, value);
  }
  return key;
}

function sentColumns(reader: MessageReader, { name, columns }: Relation): readonly Column[] {
  const count = reader.uint16();
  if (count !== columns.length) unexpected(`${count} columns of ${name}`, `${columns.length}`);
  return columns;
}

/** An assignment to `__proto__` would make no column. */
export function setColumn(row: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== "__proto__") row[name] = value;
  else Object.defineProperty(row, name, { value, configurable: true, enumerable: true, writable: true });
}
