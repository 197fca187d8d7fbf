import { valueReader } from "../../../src/sources/postgres/columnValues.ts";
import { requestPrefix } from "../../../src/sources/postgres/snapshot/backfill.ts";
import type { SentRow } from "../../../src/sources/postgres/snapshot/chunk.ts";
import type { Table } from "../../../src/sources/postgres/snapshot/table.ts";
import { type TableRead, whereOf } from "../../../src/sources/postgres/snapshot/tableRead.ts";
import { Visibility } from "../../../src/sources/postgres/snapshot/visibility.ts";
import { placePosition } from "../../../src/sources/postgres/walPosition.ts";
import { message, type Sent, type TableShape } from "../../sources/postgres/encodePgoutput.ts";

/** A row's texts, by their columns. */
export type Texts = Readonly<Record<string, string>>;
export type Key = "id" | "code" | "none";

/** Rows are told apart by either; by the one they come in another order than by the other. */
export const codeOf = (id: number): number => (id * 37) % 1000;
export const idOf = (code: number): number => (code * 973) % 1000;

interface Shape {
  readonly oid: number;
  readonly key: Key;
  readonly isFull: boolean;
  readonly columns: readonly string[];
}

interface Step {
  readonly table: string;
  /** Undefined: all rows are gone. */
  readonly id: number | undefined;
  readonly row: Texts | undefined;
}

/** A transaction: open; committed, which is in the log, but not seen; or seen. */
export interface Transaction {
  readonly xid: number;
  readonly steps: Step[];
  readonly sent: Buffer[];
  /** How many events it has, and of which tables. */
  readonly changes: string[];
  readonly rows: Set<string>;
  readonly tables: Set<string>;
  state: "open" | "committed" | "seen";
}

/** What the log has of a transaction. */
export interface Logged {
  readonly place: bigint;
  readonly messages: readonly Buffer[];
}

const isOf = (value: string | undefined): Sent => (value === undefined ? null : Buffer.from(value));
const typeOf = (column: string) => (column === "note" ? 25 : 23);

/** A row as the server sends it. */
function sentRow(texts: readonly string[]): SentRow {
  const parts = [Buffer.from([0, texts.length])];
  for (const each of texts) {
    const text = Buffer.from(each);
    const length = Buffer.alloc(4);
    length.writeInt32BE(text.length);
    parts.push(length, text);
  }
  const buffer = Buffer.concat(parts);
  return { buffer, start: 0, end: buffer.length };
}

/** A database that lives here: its transactions, what of them is seen, its locks and its log. */
export class FakeDatabase {
  readonly log: Logged[] = [];
  /** Events that are to be told, in order, each with its place, its number and its table. */
  readonly changes: (readonly [place: string, table: string])[] = [];
  /** Tables that had no key at some time: what was told with their rows is not told again. */
  readonly wereKeyless = new Set<string>();
  readonly wereKeyed = new Set<string>();
  /** Tables that are read as a whole at this moment. */
  readonly shared: string[] = [];
  #shapes = new Map<string, Shape>();
  #transactions: Transaction[] = [];
  #committed: Transaction[] = [];
  #xid = 100;
  #oid = 1;
  #place = 0x100n;

  get names(): readonly string[] {
    return [...this.#shapes.keys()].toSorted();
  }

  get end(): bigint {
    return this.#place;
  }

  get unfinished(): readonly Transaction[] {
    return this.#transactions;
  }

  shape(table: string): Shape | undefined {
    return this.#shapes.get(table);
  }

  create(table: string, key: Key): void {
    if (this.#shapes.has(table)) return;
    this.#oid += 1;
    this.#shapes.set(table, {
      oid: this.#oid,
      key,
      isFull: false,
      columns: ["id", "code", "amount", "note"],
    });
    this.#keyed(table, key);
  }

  /** Changes the table itself, unless somebody works with it. */
  alter(table: string, change: Partial<Shape>): void {
    const shape = this.#shapes.get(table);
    if (shape === undefined || this.#isInUse(table)) return;
    this.#shapes.set(table, { ...shape, ...change });
    this.#keyed(table, change.key ?? shape.key);
  }

  /** Empties a table, and takes it away: nothing in the log says that it is gone. */
  drop(table: string): void {
    if (this.#isInUse(table) || !this.#shapes.has(table)) return;
    const transaction = this.begin();
    this.truncate(transaction, table);
    this.commit(transaction, true);
    this.#shapes.delete(table);
  }

  begin(): Transaction {
    this.#xid += 1;
    const none = { steps: [], sent: [], changes: [], rows: new Set<string>(), tables: new Set<string>() };
    const transaction: Transaction = { ...none, xid: this.#xid, state: "open" };
    this.#transactions.push(transaction);
    return transaction;
  }

  commit(transaction: Transaction, isSeen: boolean): void {
    this.#place += 0x10n;
    const [place, time] = [this.#place, 1n];
    const { xid, sent, changes } = transaction;
    this.log.push({
      place,
      messages: [message.begin(place, time, xid), ...sent, message.commit(place, time)],
    });
    for (const [at, table] of changes.entries())
      this.changes.push([`${placePosition(place)}:${at + 1}`, table]);
    this.#committed.push(transaction);
    transaction.state = "committed";
    if (isSeen) this.see(transaction);
  }

  see(transaction: Transaction): void {
    transaction.state = "seen";
    this.#end(transaction);
  }

  rollback(transaction: Transaction): void {
    this.#end(transaction);
  }

  insert(transaction: Transaction, table: string, id: number, amount: number, note: string): void {
    const shape = this.#shapes.get(table);
    if (shape === undefined || !this.#lock(transaction, table, id)) return;
    if (this.#rows(table, transaction).has(id)) return;
    const row: Texts = { id: `${id}`, code: `${codeOf(id)}`, amount: `${amount}`, note };
    this.#changed(transaction, table, message.insert(shape.oid, this.#all(shape, row)), [{ table, id, row }]);
  }

  /** Changes what is not the note, which the log leaves out then; and moves the row, where it says where to. */
  update(
    transaction: Transaction,
    table: string,
    id: number,
    change: { amount?: number; note?: string; to?: number },
  ): void {
    const shape = this.#shapes.get(table);
    const { amount, note, to = id } = change;
    if (shape === undefined || !this.#lock(transaction, table, id) || !this.#lock(transaction, table, to))
      return;
    const rows = this.#rows(table, transaction);
    const old = rows.get(id);
    if (old === undefined || (to !== id && rows.has(to))) return;
    const row: Texts = {
      ...old,
      ...{ id: `${to}`, code: `${codeOf(to)}` },
      ...(amount !== undefined && { amount: `${amount}` }),
      ...(note !== undefined && { note }),
    };
    const isWhole = note !== undefined;
    const sent = this.#all(shape, row).map((value, at) =>
      !isWhole && shape.columns[at] === "note" ? "unchanged" : value,
    );
    const isKeySent = to !== id || this.#isFull(shape);
    const before = isKeySent ? this.#old(shape, old) : undefined;
    const steps =
      to === id
        ? [{ table, id, row }]
        : [
            { table, id, row: undefined },
            { table, id: to, row },
          ];
    this.#changed(transaction, table, message.update(shape.oid, before, sent), steps);
  }

  delete(transaction: Transaction, table: string, id: number): void {
    const shape = this.#shapes.get(table);
    if (shape === undefined || !this.#lock(transaction, table, id)) return;
    const old = this.#rows(table, transaction).get(id);
    if (old === undefined) return;
    this.#changed(transaction, table, message.delete(shape.oid, ...this.#old(shape, old)), [
      { table, id, row: undefined },
    ]);
  }

  truncate(transaction: Transaction, table: string): void {
    const shape = this.#shapes.get(table);
    if (shape === undefined || this.#isInUse(table, transaction)) return;
    transaction.tables.add(table);
    this.#changed(transaction, table, message.truncate([shape.oid], 0), [
      { table, id: undefined, row: undefined },
    ]);
  }

  /** Writes a message into the log. */
  say(transaction: Transaction, prefix: string, content: string): void {
    transaction.sent.push(message.logical(this.#place, prefix, Buffer.from(content)));
  }

  request(transaction: Transaction, slot: string, read: Pick<TableRead, "name" | "isAnew" | "scope">): void {
    const { name: table, isAnew } = read;
    this.say(
      transaction,
      requestPrefix,
      JSON.stringify({ slot, schema: "public", table, where: whereOf(read), isAnew }),
    );
  }

  /** What a moment sees. */
  moment(): Visibility {
    this.#xid += 1;
    const running = this.#transactions.map(({ xid }) => xid).toSorted((a, b) => a - b);
    return new Visibility(`${running[0] ?? this.#xid}:${this.#xid}:${running}`);
  }

  /** Which transactions have yet to begin their commit. */
  get open(): ReadonlySet<number> {
    return new Set(this.#transactions.flatMap(({ xid, state }) => (state === "open" ? [xid] : [])));
  }

  /** Whether nobody has the table for himself. */
  isReadable(table: string): boolean {
    return !this.#transactions.some(({ tables }) => tables.has(table));
  }

  describe(name: string): Table | undefined {
    const shape = this.#shapes.get(name);
    if (shape === undefined) return undefined;
    const columns = shape.columns.map((column) => ({ name: column, read: valueReader(typeOf(column)) }));
    const key = shape.key === "none" ? [] : [shape.columns.indexOf(shape.key)];
    const more = { keyTypes: ["int"], by: shape.key, estimated: undefined, from: name, filter: undefined };
    return { ...more, schema: "public", name, columns, key };
  }

  /** Rows as they are seen, in the order of the key, behind what is read. */
  select({ name, after, by, ...read }: TableRead): readonly SentRow[] {
    const shape = this.#shapes.get(name);
    if (shape === undefined) return [];
    const key = shape.key === "none" ? "id" : shape.key;
    const start = after?.[0] !== undefined && by === shape.key ? Number(after[0]) : -1;
    const isWanted = (row: Texts) => whereOf(read).every(([, , value]) => Number(row.amount) < Number(value));
    return [...this.seenRows(name).values()]
      .filter((row) => Number(row[key]) > start && isWanted(row))
      .toSorted((a, b) => Number(a[key]) - Number(b[key]))
      .map((row) => sentRow(shape.columns.map((column) => row[column] ?? "7")));
  }

  seenRows(table: string): ReadonlyMap<number, Texts> {
    return this.#rows(table);
  }

  #rows(table: string, own?: Transaction): Map<number, Texts> {
    const rows = new Map<number, Texts>();
    const seen = this.#committed.filter(({ state }) => own !== undefined || state === "seen");
    for (const { steps } of own === undefined ? seen : [...seen, own])
      for (const { table: name, id, row } of steps) {
        if (name !== table) continue;
        if (id === undefined) rows.clear();
        else if (row === undefined) rows.delete(id);
        else rows.set(id, row);
      }
    return rows;
  }

  #keyed(table: string, key: Key): void {
    (key === "none" ? this.wereKeyless : this.wereKeyed).add(table);
  }

  #end(transaction: Transaction): void {
    this.#transactions = this.#transactions.filter((each) => each !== transaction);
  }

  #isInUse(table: string, by?: Transaction): boolean {
    const isBusy = ({ tables, rows }: Transaction) =>
      tables.has(table) || [...rows].some((row) => row.startsWith(`${table}/`));
    return this.shared.includes(table) || this.#transactions.some((each) => each !== by && isBusy(each));
  }

  #lock(transaction: Transaction, table: string, id: number): boolean {
    const row = `${table}/${id}`;
    const others = this.#transactions.filter((each) => each !== transaction);
    if (others.some(({ rows, tables }) => rows.has(row) || tables.has(table))) return false;
    transaction.rows.add(row);
    return true;
  }

  #isFull({ isFull, key }: Shape): boolean {
    return isFull || key === "none";
  }

  #all({ columns }: Shape, row: Texts): readonly Sent[] {
    return columns.map((column) => isOf(row[column] ?? "7"));
  }

  #old(shape: Shape, row: Texts): ["K" | "O", readonly Sent[]] {
    if (this.#isFull(shape)) return ["O", this.#all(shape, row)];
    return ["K", shape.columns.map((column) => (column === shape.key ? isOf(row[column]) : null))];
  }

  #changed(transaction: Transaction, table: string, sent: Buffer, steps: readonly Step[]): void {
    const shape = this.#shapes.get(table);
    if (shape === undefined) return;
    const { oid, key, columns } = shape;
    const described: TableShape = {
      ...{ oid, schema: "public", name: table, identity: this.#isFull(shape) ? "f" : "d" },
      columns: columns.map((name) => ({
        name,
        isKey: this.#isFull(shape) || name === key,
        typeOid: typeOf(name),
      })),
    };
    transaction.sent.push(message.relation(described), sent);
    transaction.changes.push(table);
    transaction.steps.push(...steps);
  }
}
