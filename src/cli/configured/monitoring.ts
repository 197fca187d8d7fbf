import {
  combineLatest,
  defer,
  EMPTY,
  finalize,
  ignoreElements,
  merge,
  type Observable,
  of,
  Subject,
  switchMap,
  takeUntil,
  tap,
} from "rxjs";
import { dashboard, watchSink } from "../../dashboard/index.ts";
import type { Checkpoint } from "../../event/checkpoint.ts";
import { health } from "../../metrics/health.ts";
import type { SinkObserver } from "../../telemetry/sinkObserver.ts";
import type { Watchable } from "../../telemetry/watchable.ts";
import { type Extended, withProgress } from "../progress/withProgress.ts";
import { statusLog } from "../terminal/log.ts";
import type { Outcome } from "../terminal/outcome.ts";
import type { Terminal } from "../terminal/terminal.ts";
import type { Metrics } from "./importMetrics.ts";

/** What a command's sinks report to, and what serves it. */
export interface Monitoring {
  /** Whom the sink of an id tells. */
  readonly of: (sink: string) => { readonly observers: readonly SinkObserver[] };
  /** Serves metrics, health and dashboard of the sinks for as long as the work takes, and shows how far it is. */
  readonly whileServing: <C extends Checkpoint<unknown>>(
    sinks: Parameters<typeof withProgress>[1],
    work$: Observable<C>,
    input?: Extended,
  ) => Observable<C>;
}

/** What is shown beside the log, and where. */
export interface MonitoringOptions {
  /** Default: nothing is counted. */
  readonly metrics?: Metrics | undefined;
  /** 0 takes a free one. */
  readonly dashboardPort?: number | undefined;
  /** Default true. */
  readonly progress?: boolean;
  /** Counts what the sinks report. */
  readonly outcome?: Outcome;
}

/** How often Redis is asked how the streams stand, for the metrics. */
const redisEveryMs = 5000;

/** Logs and metrics of sinks; metrics and dashboard are served where that is asked for. */
export function monitoring(
  terminal: Terminal,
  pipeline: string,
  ids: readonly string[],
  { metrics, dashboardPort, progress = true, outcome }: MonitoringOptions,
): Monitoring {
  const { log } = terminal;
  const healths = ids.map(() => health());

  /** How streams stand, for the metrics. */
  function figures$(sinks: readonly Watchable[]): Observable<unknown> {
    if (metrics === undefined) return EMPTY;
    const { registry, redisMetrics } = metrics;
    const looks = sinks.map((sink) =>
      watchSink(sink, { redisEveryMs }).redisFigures$.pipe(
        tap(redisMetrics({ pipeline, sink: sink.id, registry })),
      ),
    );
    return merge(...looks);
  }

  /** What is to be served; each emits once it is. */
  function servers(sinks: readonly Watchable[]): readonly Observable<unknown>[] {
    const figures = metrics
      ?.serveMetrics({ registry: metrics.registry, port: metrics.port, health: healths })
      .pipe(tap(({ url }) => log(`metrics at ${url}`)));
    const page =
      dashboardPort === undefined
        ? undefined
        : dashboard({ sinks, port: dashboardPort }).pipe(tap(({ url }) => log(`dashboard at ${url}`)));
    return [figures, page].filter((server) => server !== undefined);
  }

  return {
    of: (sink) => {
      const logged = statusLog(log, ids.length > 1 ? `${sink}: ` : "");
      const counted = metrics?.sinkMetrics({ pipeline, sink, registry: metrics.registry });
      return {
        observers: [healths[ids.indexOf(sink)], logged, counted, outcome?.of(sink)].filter(
          (observer) => observer !== undefined,
        ),
      };
    },
    whileServing: (sinks, work$, input) =>
      defer(() => {
        const done = new Subject<void>();
        const shown$ = progress ? withProgress(terminal, sinks, work$, input) : work$;
        // The work takes over from a writer that runs: not before all is served that is to be.
        return combineLatest([of(undefined), ...servers(sinks)]).pipe(
          switchMap(() =>
            merge(figures$(sinks).pipe(ignoreElements()), shown$.pipe(finalize(() => done.next()))),
          ),
          takeUntil(done),
        );
      }),
  };
}
