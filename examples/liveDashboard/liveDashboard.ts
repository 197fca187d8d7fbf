// The shop's figures of today on a page: each order moves them at once, by server-sent events.
// They are counted from the stream, anew at every start: a restart neither forgets an order nor counts one twice.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { defer, fromEvent, Observable, ReplaySubject, share, takeUntil } from "rxjs";
import { figuresOf } from "./figures.ts";

/** Serves the page while it is subscribed to, and emits where; all who look share one connection to Redis. */
export function liveDashboard(uri: string, port = 8080): Observable<string> {
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
        // A page that is slow gets the next ones.
        next: (figures) =>
          response.writableNeedDrain || response.write(`data: ${JSON.stringify(figures)}\n\n`),
        error: (error) => subscriber.error(error),
      });
      response.on("close", () => telling.unsubscribe());
    });
    server
      .on("error", (error) => subscriber.error(error))
      .listen(port, "127.0.0.1", () => {
        subscriber.next(`http://localhost:${port}/`);
      });
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
    .subscribe((url) => console.log(`open ${url}`));
}
