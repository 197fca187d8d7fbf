// The shop's figures of today on a page: each order moves them at once, by server-sent events.
// They are counted from the stream, anew at every start: a restart neither forgets an order nor counts one twice.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { streamEntries } from "rxadd/consumer";
import {
  auditTime,
  defer,
  fromEvent,
  Observable,
  ReplaySubject,
  scan,
  share,
  startWith,
  takeUntil,
} from "rxjs";

interface Order {
  readonly item: string;
  readonly price: number;
}

interface OrderChange {
  readonly before: Order | null;
  readonly after: Order | null;
}

/** What the page shows; `items` says how often each was ordered. */
export interface Figures {
  readonly orders: number;
  readonly revenue: number;
  readonly items: Readonly<Record<string, number>>;
}

const none: Figures = { orders: 0, revenue: 0, items: {} };

/** The figures since midnight, and again ten times a second at most while they change. */
export function figuresOf(uri: string): Observable<Figures> {
  const midnight = new Date().setHours(0, 0, 0, 0);
  return streamEntries<OrderChange>({ uri, stream: "orders.events", from: `${midnight}` }).pipe(
    // A change takes away the order as it was, and adds it as it is.
    scan((sum, { event: { before, after } }) => counted(counted(sum, before, -1), after, 1), none),
    startWith(none),
    auditTime(100),
  );
}

function counted(figures: Figures, order: Order | null, times: 1 | -1): Figures {
  if (order === null) return figures;
  const { item, price } = order;
  return {
    orders: figures.orders + times,
    revenue: figures.revenue + times * price,
    items: { ...figures.items, [item]: (figures.items[item] ?? 0) + times },
  };
}

/** Serves the page while it is subscribed to; all who look share one connection to Redis. */
export function liveDashboard(uri: string, port = 8080): Observable<never> {
  const figures$ = defer(() => figuresOf(uri)).pipe(share({ connector: () => new ReplaySubject(1) }));
  const page = readFileSync(new URL("page.html", import.meta.url));
  return new Observable((subscriber) => {
    const server = createServer(({ url }, response) => {
      if (url !== "/figures") {
        response.setHeader("content-type", "text/html; charset=utf-8").end(page);
        return;
      }
      response.writeHead(200, { "content-type": "text/event-stream" });
      const telling = figures$.subscribe({
        next: (figures) => response.write(`data: ${JSON.stringify(figures)}\n\n`),
        error: (error) => subscriber.error(error),
      });
      response.on("close", () => telling.unsubscribe());
    }).listen(port, "127.0.0.1");
    return () => {
      server.close();
      server.closeAllConnections();
    };
  });
}

if (process.argv[1] === import.meta.filename) {
  const { REDIS_URI: uri = "redis://localhost:6379", PORT: port = 8080 } = process.env;
  liveDashboard(uri, Number(port))
    .pipe(takeUntil(fromEvent(process, "SIGINT")))
    .subscribe();
  console.log(`open http://localhost:${port}/`);
}
