/** An event whose JSON is made already. */
export interface ReadyEvent {
  readonly position: number;
  readonly json: string;
}

/** A change of a row as a source hands it over: who publishes it makes its JSON. */
export interface RowEvent {
  readonly id: string;
  readonly op: "c";
  readonly ts_ms: number;
  readonly position: number;
  readonly before?: null;
  readonly source?: Readonly<Record<string, string>>;
  readonly after: Readonly<Record<string, unknown>>;
}

/** An event as every contender gets it. */
export type BenchEvent = ReadyEvent | RowEvent;

/** What contenders are given: texts, or rows. */
export type EventKind = "ready" | "row";

/** What is published of an event. */
export function jsonOf(event: BenchEvent): string {
  return "json" in event ? event.json : JSON.stringify(event);
}

/** A change event that takes so many bytes of JSON, at least 150. */
export function eventOf(position: number, bytes = 220): ReadyEvent {
  const row = { id: position, customer: `customer-${position % 1000}`, total: (position % 9973) / 100 };
  const event = { id: `orders/${position}`, op: "c", ts_ms: 1_700_000_000_000 + position };
  const bare = JSON.stringify({ ...event, after: { ...row, note: "" } });
  const note = "x".repeat(Math.max(0, bytes - bare.length));
  return { position, json: JSON.stringify({ ...event, after: { ...row, note } }) };
}

/** So many events, at positions 1, 2, 3, … */
export function eventsOf(count: number, bytes?: number): readonly ReadyEvent[] {
  return Array.from({ length: count }, (_, index) => eventOf(index + 1, bytes));
}

const source = { connector: "postgresql", db: "shop", schema: "public", table: "orders" };
const updatedAt = "2026-11-24 10:00:00.123456+00";

/**
 * Makes what makes a change of a row of six columns, such as PostgreSQL's, of about so many bytes of JSON; below 310 of a
 * row of two. Plain literals: to make it costs next to nothing.
 */
function rowMaker(bytes: number): (position: number) => RowEvent {
  const isSmall = bytes < 310;
  const note = "x".repeat(bytes - (isSmall ? 100 : 297));
  const ts_ms = 1_700_000_000_000;
  if (isSmall) {
    return (position) => ({
      id: `orders/${position}`,
      op: "c",
      ts_ms: ts_ms + position,
      position,
      after: { id: position, note },
    });
  }
  return (position) => ({
    id: `orders/${position}`,
    op: "c",
    ts_ms: ts_ms + position,
    before: null,
    source,
    position,
    after: {
      id: position,
      customer: `customer-${position % 1000}`,
      total: (position % 9973) / 100,
      status: "paid",
      note,
      updated_at: updatedAt,
    },
  });
}

/** One such row. */
export function rowOf(position: number, bytes: number): RowEvent {
  return rowMaker(bytes)(position);
}

/** So many rows, each made when it is asked for, as by a source. */
export function* rowsOf(count: number, bytes: number): Generator<RowEvent> {
  const make = rowMaker(bytes);
  for (let position = 1; position <= count; position += 1) yield make(position);
}
