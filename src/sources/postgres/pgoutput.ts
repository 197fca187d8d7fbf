import type { ChangeEvent, Operation, Row } from "../../event/changeEvent.ts";
import type { Lsn } from "../../event/lsn.ts";
import { MessageReader, unexpected } from "./messageReader.ts";
import { messageRow } from "./messageRow.ts";
import { type Relation, readKey, readRelation, readRow } from "./relation.ts";
import type { TableChange } from "./snapshot/chunk.ts";
import { textIn } from "./textIn.ts";
import { placePosition } from "./walPosition.ts";

/** What all events of a transaction have in common, made once. */
interface OpenTransaction {
  readonly xid: number;
  readonly ts_ms: number;
  readonly lsn: Lsn;
  readonly id: string;
  /** What the positions of its changes begin with. */
  readonly start: string;
  changes: number;
}

/** An event of which it is not yet known whether it is its transaction's last. */
type HeldEvent = ChangeEvent<Row, Lsn> & { readonly transaction: { last: boolean } };

const messages = {
  begin: 0x42,
  commit: 0x43,
  delete: 0x44,
  insert: 0x49,
  logical: 0x4d,
  origin: 0x4f,
  relation: 0x52,
  truncate: 0x54,
  type: 0x59,
  update: 0x55,
} as const;
const rows = { key: 0x4b, new: 0x4e, old: 0x4f } as const;

/** What says nothing to us: that of a type is in the columns' OIDs. */
const unused: ReadonlySet<number> = new Set([messages.origin, messages.type]);

/** Microseconds from 1970 to 2000, where PostgreSQL's time begins. */
const epoch = 946_684_800_000_000n;

/** What somebody wrote into the log by `pg_logical_emit_message`. */
export interface LogMessage {
  readonly prefix: string;
  readonly content: Buffer;
  /** Whether it belongs to the transaction that is read; else it stands where it was written. */
  readonly isTransactional: boolean;
}

/** The transaction that a message of the log belongs to. */
export interface MessageTransaction {
  /** Where it was committed. */
  readonly lsn: Lsn;
  readonly xid: number;
  readonly ts_ms: number;
}

/** Who is told of what is read. */
export interface PgoutputObserver {
  readonly change: (event: ChangeEvent<Row, Lsn>) => void;
  /** Which messages of a transaction are events of it, by their prefix. Default: none. */
  readonly prefixes?: ReadonlySet<string>;
  /** Comes only where messages are asked for. */
  readonly message?: (message: LogMessage, transaction: MessageTransaction | undefined) => void;
  /** What follows the place in a position: how far a snapshot is. Default: nothing. */
  readonly reads?: () => string;
  /** Told of each change before its position is made; returns whether it is to be told. */
  readonly changed?: (change: TableChange) => boolean;
}

/**
 * Turns the messages of pgoutput, protocol 1, into change events. One event is held back until it is known whether it is
 * its transaction's last.
 *
 * - **Errors** an {@link RxaddError}, or a `RangeError`, for what is no message of this protocol.
 */
export class PgoutputDecoder {
  readonly #db: string;
  readonly #observer: PgoutputObserver;
  readonly #reader = new MessageReader();
  readonly #relations = new Map<number, Relation>();
  #transaction: OpenTransaction | undefined;
  #held: HeldEvent | undefined;
  #bytes = 0;

  /** @param db - the database's name: with the position it makes the event's id */
  constructor(db: string, observer: PgoutputObserver) {
    this.#db = db;
    this.#observer = observer;
  }

  /** Takes one message, from `start` up to `end` of the buffer. */
  decode(buffer: Buffer, start: number, end: number): void {
    this.#reader.open(buffer, start, end);
    this.#bytes = end - start;
    const kind = this.#reader.byte();
    if (kind === messages.insert) this.#insert();
    else if (kind === messages.update) this.#update();
    else if (kind === messages.delete) this.#delete();
    else if (kind === messages.truncate) this.#truncate();
    else if (kind === messages.begin) this.#begin();
    else if (kind === messages.commit) this.#commit();
    else if (kind === messages.relation) this.#relation();
    else if (kind === messages.logical) this.#logical();
    else if (!unused.has(kind)) unexpected(`a message of kind ${kind}`, "one of B C D I M O R T U Y");
  }

  #begin(): void {
    const lsn = placePosition(this.#reader.uint64());
    const ts_ms = Math.trunc(Number(this.#reader.uint64() + epoch) / 1000);
    const xid = this.#reader.uint32();
    this.#reader.checkEnd();
    this.#transaction = { xid, ts_ms, lsn, id: `${xid}:${lsn}`, start: `${lsn}:`, changes: 0 };
  }

  #commit(): void {
    this.#release(true);
    this.#transaction = undefined;
  }

  #relation(): void {
    const oid = this.#reader.uint32();
    const relation = readRelation(this.#reader);
    this.#reader.checkEnd();
    this.#relations.set(oid, relation);
  }

  #logical(): void {
    const isTransactional = (this.#reader.byte() & 1) === 1;
    this.#reader.uint64(); // where it stands: its transaction tells
    const prefix = this.#reader.text();
    const content = this.#reader.bytes();
    this.#reader.checkEnd();
    // What stands outside of a transaction stays there when that is rolled back: it is no event.
    if (isTransactional && this.#observer.prefixes?.has(prefix)) this.#message(prefix, content);
    else this.#observer.message?.({ prefix, content, isTransactional }, this.#transaction);
  }

  #message(prefix: string, content: Buffer): void {
    this.#release(false);
    const { xid: txId, ts_ms, lsn, id, start, changes } = this.#next("a message");
    const place = `${start}${changes}`;
    const after = messageRow(content);
    this.#held = {
      id: textIn(after, "id") ?? `${this.#db}/${place}`,
      op: "m",
      ts_ms,
      source: { connector: "postgresql", db: this.#db, prefix, lsn, txId },
      before: null,
      after,
      transaction: { id, total_order: changes, last: false },
      position: `${place}${this.#observer.reads?.() ?? ""}` as Lsn,
    };
  }

  #insert(): void {
    const relation = this.#known();
    this.#reader.byte(); // that it is a new row
    this.#change("c", relation, null, readRow(this.#reader, relation));
  }

  #update(): void {
    const relation = this.#known();
    const kind = this.#reader.byte();
    const before = kind === rows.new ? null : this.#before(relation, kind);
    if (before !== null) this.#reader.byte(); // that what follows is the new row
    const unchanged: string[] = [];
    const after = readRow(this.#reader, relation, kind === rows.old ? before : null, unchanged);
    this.#change("u", relation, before, after, unchanged);
  }

  #delete(): void {
    const relation = this.#known();
    this.#change("d", relation, this.#before(relation, this.#reader.byte()), null);
  }

  #before(relation: Relation, kind: number): Row {
    if (kind === rows.old) return readRow(this.#reader, relation);
    if (kind === rows.key) return readKey(this.#reader, relation);
    return unexpected(`a row of kind ${kind}`, "one of K N O");
  }

  #truncate(): void {
    const count = this.#reader.uint32();
    this.#reader.byte(); // CASCADE, RESTART IDENTITY
    const relations = Array.from({ length: count }, () => this.#known());
    for (const relation of relations) this.#change("t", relation, null, null);
  }

  #change(
    op: Operation,
    relation: Relation,
    before: Row | null,
    after: Row | null,
    unchanged: readonly string[] = [],
  ): void {
    this.#reader.checkEnd();
    const { xid: txId, ts_ms, lsn, id, start, changes } = this.#next("a change");
    const place = `${start}${changes}`;
    const { schema, name: table } = relation;
    const { changed } = this.#observer;
    const bytes = this.#bytes;
    if (changed?.({ table: relation, xid: txId, op, before, after, unchanged, bytes }) === false) return;
    this.#release(false);
    const source = { connector: "postgresql", db: this.#db, schema, table, lsn, txId };
    this.#held = {
      id: `${this.#db}/${place}`,
      op,
      ts_ms,
      source: unchanged.length === 0 ? source : { ...source, unchanged },
      before,
      after,
      transaction: { id, total_order: changes, last: false },
      position: `${place}${this.#observer.reads?.() ?? ""}` as Lsn,
    };
  }

  /** The open transaction, with one event more. */
  #next(what: string): OpenTransaction {
    const transaction = this.#transaction;
    if (transaction === undefined) unexpected(what, "a transaction to begin before it");
    transaction.changes += 1;
    return transaction;
  }

  #release(isLast: boolean): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    held.transaction.last = isLast;
    this.#observer.change(held);
  }

  #known(): Relation {
    const oid = this.#reader.uint32();
    return (
      this.#relations.get(oid) ?? unexpected(`a change of table ${oid}`, "to be told of that table first")
    );
  }
}
