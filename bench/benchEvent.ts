/** An event as every contender gets it: its JSON is made already. */
export interface BenchEvent {
  readonly position: number;
  readonly json: string;
}

/** A change event that takes so many bytes of JSON, at least 150. */
export function eventOf(position: number, bytes = 220): BenchEvent {
  const row = { id: position, customer: `customer-${position % 1000}`, total: (position % 9973) / 100 };
  const event = { id: `orders/${position}`, op: "c", ts_ms: 1_700_000_000_000 + position };
  const bare = JSON.stringify({ ...event, after: { ...row, note: "" } });
  const note = "x".repeat(Math.max(0, bytes - bare.length));
  return { position, json: JSON.stringify({ ...event, after: { ...row, note } }) };
}

/** So many events, at positions 1, 2, 3, … */
export function eventsOf(count: number, bytes?: number): readonly BenchEvent[] {
  return Array.from({ length: count }, (_, index) => eventOf(index + 1, bytes));
}
