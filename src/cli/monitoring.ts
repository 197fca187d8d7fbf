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

/** What a command's sink reports to, and what serves it. */
export interface Monitoring {
  readonly status: { readonly next: (status: Status) => void };
  readonly metrics: SinkMetrics;
  /** Serves metrics and health for as long as the work takes. */
  readonly whileServing: <A>(work$: Observable<A>) => Observable<A>;
}

/** Logs and metrics of a sink; metrics are served where `port` says, if it says. */
export function monitoring(pipeline: string, sink: string, port: number | undefined): Monitoring {
  const health = sinkHealth();
  const metrics = sinkMetrics({ pipeline, sink });
  const logged = statusLog();
  const server$ =
    port === undefined
      ? EMPTY
      : serveMetrics({ registry: metrics.registry, port, health: [health] }).pipe(
          tap(({ url }) => log(`metrics at ${url}`)),
          ignoreElements(),
        );

  return {
    metrics,
    status: {
      next: (status) => {
        health.next(status);
        logged.next(status);
      },
    },
    whileServing: (work$) =>
      defer(() => {
        const done = new Subject<void>();
        return merge(server$.pipe(takeUntil(done)), work$.pipe(finalize(() => done.next())));
      }),
  };
}
