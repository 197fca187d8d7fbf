import type { ChangeEvent, Operation, Row } from "../../event/changeEvent.ts";
import type { Lsn } from "../../event/lsn.ts";
import { type ReadValue, valueReader } from "./columnValues.ts";
import { postgresError } from "./postgresError.ts";
import { placePosition } from "./walPosition.ts";

interface Column {
  readonly name: string;
  readonly isKey: boolean;
  readonly read: ReadValue;
}

/** A table, as the server has last described it. */
interface Relation {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly Column[];
}

/** What all events of a transaction have in common, made once. */
interface OpenTransaction {
  readonly xid: number;
  readonly ts_ms: number;
  readonly lsn: Lsn;
  readonly id: string;
  changes: number;
}

/** An event of which it is not yet known whether it is its transaction's last. */
type HeldEvent = ChangeEvent<Lsn> & { readonly transaction: { last: boolean } };

type WritableRow = Record<string, unknown>;

/** A type, whose OID alone says how a value is read; an origin; a message of `pg_logical_emit_message`. */
const without: ReadonlySet<number> = new Set([0x59, 0x4f, 0x4d]); // Y O M

/** The submessages of updates and deletes. */
const [newRow, oldRow, oldKey] = [0x4e, 0x4f, 0x4b]; // N O K

/** Microseconds from 1970 to 2000, where PostgreSQL's time begins. */
const epoch = 946_684_800_000_000n;

/** An assignment to `__proto__` would make no column. */
function setColumn(row: WritableRow, name: string, value: unknown): void {
  if (name !== "__proto__") row[name] = value;
  else Object.defineProperty(row, name, { value, configurable: true, enumerable: true, writable: true });
}

function unexpected(found: string, expected: string): never {
  throw postgresError(
    "Refused",
    `pgoutput: found ${found}, expected ${expected}: this server speaks another version of the protocol, or what lies between changes what is sent`,
  );
}

const named = (code: number) => JSON.stringify(String.fromCharCode(code));

/**
 * Turns the messages of pgoutput, protocol 1, into change events. One event is held back until it is known whether it is
 * its transaction's last.
 *
 * - **Errors** an {@link RxaddError}, or a `RangeError`, for what is no message of this protocol.
 */
export class PgoutputDecoder {
  readonly #db: string;
  readonly #emit: (event: ChangeEvent<Lsn>) => void;
  readonly #relations = new Map<number, Relation>();
  #transaction: OpenTransaction | undefined;
  #held: HeldEvent | undefined;
  #buffer: Buffer = Buffer.alloc(0);
  /** What is read next. */
  #at = 0;
  #end = 0;
  /** Large values that the update just read did not touch: the log does not hold them. */
  #unchanged: string[] = [];

  /** @param db - the database's name: with the position it makes the event's id */
  constructor(db: string, emit: (event: ChangeEvent<Lsn>) => void) {
    this.#db = db;
    this.#emit = emit;
  }

  /** Takes one message, from `start` up to `end` of the buffer. */
  decode(buffer: Buffer, start: number, end: number): void {
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
    const kind = this.#byte();
    if (kind === 0x49) this.#insert();
    else if (kind === 0x55) this.#update();
    else if (kind === 0x44) this.#delete();
    else if (kind === 0x54) this.#truncate();
    else if (kind === 0x42) this.#begin();
    else if (kind === 0x43) this.#commit();
    else if (kind === 0x52) this.#relation();
    else if (!without.has(kind)) unexpected(`a message ${named(kind)}`, "one of B C D I M O R T U Y");
  }

  #begin(): void {
    const lsn = placePosition(this.#uint64());
    const ts_ms = Math.trunc(Number(this.#uint64() + epoch) / 1000);
    const xid = this.#uint32();
    this.#checkEnd();
    this.#transaction = { xid, ts_ms, lsn, id: `${xid}:${lsn}`, changes: 0 };
  }

  #commit(): void {
    this.#release(true);
    this.#transaction = undefined;
  }

  #relation(): void {
    const oid = this.#uint32();
    const schema = this.#text();
    const name = this.#text();
    this.#byte(); // which columns are the replica identity, each of them says itself
    const columns = Array.from({ length: this.#uint16() }, (): Column => {
      const isKey = (this.#byte() & 1) === 1;
      const column = this.#text();
      const read = valueReader(this.#uint32());
      this.#uint32(); // the type's modifier
      return { name: column, isKey, read };
    });
    this.#checkEnd();
    this.#relations.set(oid, { schema, name, columns });
  }

  #insert(): void {
    const relation = this.#known();
    this.#byte(); // N
    const after = this.#row(relation);
    this.#checkEnd();
    this.#change("c", relation, null, after);
  }

  #update(): void {
    const relation = this.#known();
    const kind = this.#byte();
    const before = kind === newRow ? null : this.#before(relation, kind);
    if (before !== null) this.#byte(); // N
    this.#unchanged = [];
    const after = this.#row(relation, false, kind === oldRow ? before : null);
    this.#checkEnd();
    this.#change("u", relation, before, after, this.#unchanged);
  }

  #delete(): void {
    const relation = this.#known();
    const before = this.#before(relation, this.#byte());
    this.#checkEnd();
    this.#change("d", relation, before, null);
  }

  #truncate(): void {
    const count = this.#uint32();
    this.#byte(); // CASCADE, RESTART IDENTITY
    const relations = Array.from({ length: count }, () => this.#known());
    this.#checkEnd();
    for (const relation of relations) this.#change("t", relation, null, null);
  }

  #before(relation: Relation, kind: number): Row {
    if (kind !== oldRow && kind !== oldKey) unexpected(`a row ${named(kind)}`, "one of K N O");
    return this.#row(relation, kind === oldKey);
  }

  /**
   * @param isKey - nulls then stand for what is no part of the key
   * @param old - where values are found that the log does not repeat
   */
  #row({ name, columns }: Relation, isKey = false, old: Row | null = null): Row {
    const count = this.#uint16();
    if (count !== columns.length) unexpected(`${count} columns of ${name}`, `${columns.length}`);
    const row: WritableRow = {};
    for (const column of columns) {
      const kind = this.#byte();
      if (kind === 0x74) {
        const length = this.#uint32();
        const start = this.#at;
        this.#at += length;
        if (this.#at > this.#end) this.#checkEnd();
        if (isKey && !column.isKey) continue;
        const value = column.read(this.#buffer, start, this.#at);
        if (value !== null || !isKey) setColumn(row, column.name, value);
      } else if (kind === 0x6e) {
        if (!isKey) setColumn(row, column.name, null);
      } else if (kind !== 0x75) {
        unexpected(`a value ${named(kind)}`, "one of n t u");
      } else if (old !== null && Object.hasOwn(old, column.name)) {
        setColumn(row, column.name, old[column.name]);
      } else {
        this.#unchanged.push(column.name);
      }
    }
    return row;
  }

  #change(
    op: Operation,
    { schema, name: table }: Relation,
    before: Row | null,
    after: Row | null,
    unchanged: readonly string[] = [],
  ): void {
    this.#release(false);
    const transaction = this.#transaction;
    if (transaction === undefined) unexpected("a change", "a transaction to begin before it");
    transaction.changes += 1;
    const { xid: txId, ts_ms, lsn, id, changes } = transaction;
    const position = `${lsn}:${changes}` as Lsn;
    const source = { connector: "postgresql", db: this.#db, schema, table, lsn, txId };
    this.#held = {
      id: `${this.#db}/${position}`,
      op,
      ts_ms,
      source: unchanged.length === 0 ? source : { ...source, unchanged },
      before,
      after,
      transaction: { id, total_order: changes, last: false },
      position,
    };
  }

  #release(isLast: boolean): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    held.transaction.last = isLast;
    this.#emit(held);
  }

  #known(): Relation {
    const oid = this.#uint32();
    return (
      this.#relations.get(oid) ?? unexpected(`a change of table ${oid}`, "to be told of that table first")
    );
  }

  /** What is torn ends elsewhere. */
  #checkEnd(): void {
    if (this.#at !== this.#end)
      unexpected(
        `a message of another length, by ${Math.abs(this.#at - this.#end)} bytes`,
        "the one it says",
      );
  }

  #byte(): number {
    const value = this.#buffer.readUInt8(this.#at);
    this.#at += 1;
    return value;
  }

  #uint16(): number {
    const value = this.#buffer.readUInt16BE(this.#at);
    this.#at += 2;
    return value;
  }

  #uint32(): number {
    const value = this.#buffer.readUInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  #uint64(): bigint {
    const value = this.#buffer.readBigUInt64BE(this.#at);
    this.#at += 8;
    return value;
  }

  #text(): string {
    const end = this.#buffer.indexOf(0, this.#at);
    const text = this.#buffer.toString("utf8", this.#at, end);
    this.#at = end + 1;
    return text;
  }
}
