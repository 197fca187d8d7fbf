// What the page shows: the orders of today, counted from the stream.
import { streamEntries } from "rxadd/consumer";
import { auditTime, defer, map, type Observable, repeat, scan, startWith, takeUntil, timer } from "rxjs";

interface Order {
  readonly id: number;
  readonly item: string;
  readonly price: number;
}

interface OrderChange {
  readonly op: string;
  readonly before: Order | null;
  readonly after: Order | null;
}

/** What the page shows; `items` says how often each was ordered. */
export interface Figures {
  readonly orders: number;
  readonly revenue: number;
  readonly items: Readonly<Record<string, number>>;
}

type Orders = ReadonlyMap<number, Order>;

/** The figures of today, and again ten times a second at most while they change; at midnight they begin anew. */
export function figuresOf(uri: string): Observable<Figures> {
  return defer(() => {
    const midnight = new Date().setHours(0, 0, 0, 0);
    return streamEntries<OrderChange>({ uri, stream: "orders.events", from: `${midnight}` }).pipe(
      scan((orders, { event }) => changed(orders, event), new Map<number, Order>()),
      startWith<Orders>(new Map()),
      auditTime(100),
      map(counted),
      takeUntil(timer(new Date(new Date().setHours(24, 0, 0, 0)))),
    );
  }).pipe(repeat());
}

/** Orders of today alone: what becomes of an older one does not count. */
function changed(orders: Map<number, Order>, { op, before, after }: OrderChange): Map<number, Order> {
  if (after === null) orders.delete(before?.id ?? 0);
  else if (op === "c" || orders.has(after.id)) orders.set(after.id, after);
  return orders;
}

function counted(orders: Orders): Figures {
  const items: Record<string, number> = {};
  let revenue = 0;
  for (const { item, price } of orders.values()) {
    items[item] = (items[item] ?? 0) + 1;
    revenue += price;
  }
  return { orders: orders.size, revenue, items };
}
