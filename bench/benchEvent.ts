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

const updatedAt = "2026-11-24 10:00:00.123456+00";
const note = "x".repeat(100_000);

/** Makes a change of a row of six columns, such as PostgreSQL's, of about so many bytes of JSON; below 310 of a row of two. */
export function rowOf(position: number, bytes: number): RowEvent {
  const event = { id: `orders/${position}`, op: "c", ts_ms: 1_700_000_000_000 + position } as const;
  if (bytes < 310) return { ...event, position, after: { id: position, note: note.slice(0, bytes - 100) } };
  return {
    ...event,
    ...{ before: null, source: { connector: "postgresql", db: "shop", schema: "public", table: "orders" } },
    ...{ position },
    after: {
      ...{ id: position, customer: `customer-${position % 1000}`, total: (position % 9973) / 100 },
      ...{ status: "paid", note: note.slice(0, bytes - 297), updated_at: updatedAt },
    },
  };
}

/** So many rows, each made when it is asked for, as by a source. */
export function* rowsOf(count: number, bytes: number): Generator<RowEvent> {
  for (let position = 1; position <= count; position += 1) yield rowOf(position, bytes);
}
