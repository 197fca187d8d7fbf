import { Registry } from "prom-client";
import {
  defer,
  EMPTY,
  finalize,
  ignoreElements,
  merge,
  type Observable,
  Subject,
  takeUntil,
  tap,
} from "rxjs";
import { serveMetrics, sinkHealth, sinkMetrics } from "../metrics/index.ts";
import type { SinkMetrics } from "../sinkReport.ts";
import type { Status } from "../status.ts";
import { log, statusLog } from "./log.ts";

/** What a sink reports to. */
interface Reports {
  readonly status: { readonly next: (status: Status) => void };
  readonly metrics: SinkMetrics;
}

/** What a command's sinks report to, and what serves it. */
export interface Monitoring {
  /** For the sink of an id. */
  readonly of: (sink: string) => Reports;
  /** Serves metrics and health for as long as the work takes. */
  readonly whileServing: <A>(work$: Observable<A>) => Observable<A>;
}

/** Logs and metrics of sinks; metrics are served where `port` says, if it says. */
export function monitoring(pipeline: string, sinks: readonly string[], port: number | undefined): Monitoring {
  const registry = new Registry();
  const health = sinks.map(sinkHealth);
  const server$ =
    port === undefined
      ? EMPTY
      : serveMetrics({ registry, port, health }).pipe(
          tap(({ url }) => log(`metrics at ${url}`)),
          ignoreElements(),
        );

  return {
    of: (sink) => {
      const logged = statusLog(sinks.length > 1 ? `${sink}: ` : "");
      return {
        metrics: sinkMetrics({ pipeline, sink, registry }),
        status: {
          next: (status) => {
            health[sinks.indexOf(sink)]?.next(status);
            logged.next(status);
          },
        },
      };
    },
    whileServing: (work$) =>
      defer(() => {
        const done = new Subject<void>();
        return merge(server$.pipe(takeUntil(done)), work$.pipe(finalize(() => done.next())));
      }),
  };
}
