/** What happened to the row: created, updated, deleted, read by a snapshot, or its table truncated; `m`: it is no row, but a message. */
export type Operation = "c" | "u" | "d" | "r" | "t" | "m";

/** A row as a source reports it, by column name. */
export type Row = Readonly<Record<string, unknown>>;

/** Where in its source an event comes from. Sources add what they know. */
export interface EventOrigin {
  readonly connector?: string;
  readonly db?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly [detail: string]: unknown;
}

/** The source transaction that an event belongs to. A sink never splits it over two batches. */
export interface Transaction {
  /** The same for all events of one transaction. */
  readonly id: string;
  /** The event's place among all events of its transaction, from 1. */
  readonly total_order?: number;
  /**
   * Whether this is the transaction's last event. A source that sets it on every event lets a sink
   * publish the transaction without waiting to see what follows it.
   */
  readonly last?: boolean;
}

/**
 * One row change from a source, in the shape of a Debezium envelope.
 *
 * @typeParam R - the row, by whoever knows its columns
 * @typeParam P - the source's position: an LSN, an offset, a line number
 */
export interface ChangeEvent<R = Row, P = unknown> {
  /** The same for the same row change on every replay. */
  readonly id: string;
  readonly op: Operation;
  /** When the source committed the change, in ms since 1970. */
  readonly ts_ms: number;
  readonly source: EventOrigin;
  /** The row as it was; null where there was none or the source does not know. */
  readonly before: R | null;
  /** The row as it is now; null after a delete. */
  readonly after: R | null;
  readonly transaction?: Transaction;
  readonly position?: P;
}
