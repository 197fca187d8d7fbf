// The writer: what an application would have. PostgreSQL's changes go into a Redis Stream; a page shows how.
// It runs as a process of its own, so that it can be killed.
import { redisSink, replicate } from "rxadd";
import { dashboard, type SinkSnapshot, watchSink } from "rxadd/dashboard";
import { health, serveMetrics, sinkMetrics } from "rxadd/metrics";
import { postgresChanges } from "rxadd/sources/postgres";
import { catchError, fromEvent, takeUntil } from "rxjs";

/** What the demo hears from its writer. */
export type WriterMessage =
  | { readonly kind: "opened" }
  | { readonly kind: "metrics" | "dashboard"; readonly url: string }
  | { readonly kind: "status"; readonly status: SinkSnapshot };

const { POSTGRES_URI = "", REDIS_URI = "", STREAM = "" } = process.env;
const id = "demo";
const tell = (message: WriterMessage) => process.send?.(message);

const metrics = sinkMetrics({ pipeline: "demo", sink: id });
const ofSink = health();
const sink = redisSink({ id, uri: REDIS_URI, stream: STREAM, observers: [metrics, ofSink] });
const opened = { next: () => tell({ kind: "opened" }) };
const source = postgresChanges({ connectionString: POSTGRES_URI, snapshot: "initial", opened });

// The demo goes first when Ctrl-C is pressed, and ends the writer when all is in the stream.
process.on("SIGINT", () => {});
process.once("disconnect", () => process.exit());
const stopped$ = fromEvent(process, "SIGTERM");

replicate({ source, sink })
  .pipe(takeUntil(stopped$))
  .subscribe({
    error: (error) => {
      console.error(error instanceof Error ? error.message : error);
      process.exit(1);
    },
    complete: () => process.exit(),
  });

dashboard({ sinks: [sink], port: 0 }).subscribe(({ url }) => tell({ kind: "dashboard", url }));
watchSink(sink).snapshot$.subscribe((status) => tell({ kind: "status", status }));

const served = { registry: metrics.registry, health: [ofSink] };
serveMetrics(served)
  // Somebody else has port 9000: any other will do.
  .pipe(catchError(() => serveMetrics({ ...served, port: 0 })))
  .subscribe(({ url }) => tell({ kind: "metrics", url }));
