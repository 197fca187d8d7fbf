import {
  catchError,
  combineLatest,
  defer,
  finalize,
  ignoreElements,
  map,
  merge,
  type Observable,
  of,
  Subject,
  switchMap,
  takeUntil,
  tap,
} from "rxjs";
import { dashboard, watchSink } from "../../dashboard/index.ts";
import { messageOf } from "../../errors/thrown.ts";
import { type Health, type HealthObserver, health } from "../../metrics/health.ts";
import type { SinkObserver } from "../../telemetry/sinkObserver.ts";
import type { SnapshotProgress } from "../../telemetry/snapshotProgress.ts";
import type { Watchable } from "../../telemetry/watchable.ts";
import { tableEndText } from "../progress/tableText.ts";
import { type Log, statusLog } from "../terminal/log.ts";
import type { Metrics } from "./importMetrics.ts";

/** What is counted and served beside the log. */
export interface MonitoringOptions {
  /** Default: nothing is counted. */
  readonly metrics?: Metrics | undefined;
  /** 0 takes a free one. */
  readonly dashboardPort?: number | undefined;
}

/** What the sinks of a pipeline report to. */
export interface PipelineMonitoring {
  /** Whom the sink of an id tells. */
  readonly of: (sink: string) => readonly SinkObserver[];
  /** Told how far the tables are that its source reads. */
  readonly read: (progress: SnapshotProgress) => void;
  /** Tells the health checks that the pipeline is over, and of what. */
  readonly ended: (error?: unknown) => void;
}

/** A sink, and what is to be shown of it. */
export interface Shown {
  readonly pipeline: string;
  readonly sink: Watchable;
  /** Its name among all of them. */
  readonly name: string;
}

/** How often Redis is asked how the streams stand, for the metrics. */
const redisEveryMs = 5000;

/** Logs, metrics, health and dashboard of all pipelines of a process. */
export class Monitoring {
  readonly #options: MonitoringOptions;
  readonly #log: Log;
  readonly #healths: HealthObserver[] = [];

  constructor(log: Log, options: MonitoringOptions) {
    this.#log = log;
    this.#options = options;
  }

  /** Counts, logs and watches the health of the sinks of one more pipeline. */
  add(pipeline: string, log: Log, hasSeveralSinks: boolean): PipelineMonitoring {
    let over: Health | undefined;
    const { metrics } = this.#options;
    const tables = metrics?.snapshotMetrics({ pipeline, registry: metrics.registry });
    return {
      of: (sink) => {
        const ofSink = health();
        this.#healths.push({ ...ofSink, now: () => over ?? ofSink.now() });
        const logged = statusLog(log, hasSeveralSinks ? `${sink}: ` : "");
        const counted = metrics?.sinkMetrics({ pipeline, sink, registry: metrics.registry });
        return [ofSink, logged, counted].filter((observer) => observer !== undefined);
      },
      read: (progress) => {
        const text = tableEndText(progress);
        if (text !== undefined) log(text);
        tables?.next(progress);
      },
      ended: (error) => {
        const isWell = error === undefined;
        const cause = isWell ? {} : { cause: messageOf(error) };
        over = { alive: isWell, ready: isWell, state: "closed", ...cause };
      },
    };
  }

  /** Serves all that is to be served for as long as the work takes, which begins once it is. */
  whileServing<A>(shown: readonly Shown[], work$: Observable<A>): Observable<A> {
    return defer(() => {
      const done = new Subject<void>();
      // The work takes over from a writer that runs: not before all is served that is to be.
      return combineLatest([this.#metrics(), this.#dashboard(shown)]).pipe(
        switchMap(([metrics]) =>
          merge(
            ...(metrics === undefined ? [] : shown.map((sink) => this.#figures(sink, metrics))),
            work$.pipe(finalize(() => done.next())),
          ),
        ),
        takeUntil(done),
      );
    });
  }

  /** Emits once they are served, or that they are not. */
  #metrics(): Observable<Metrics | undefined> {
    const { metrics } = this.#options;
    if (metrics === undefined) return of(undefined);
    const { registry, port, isUsual, serveMetrics } = metrics;
    return serveMetrics({ registry, port, health: this.#healths }).pipe(
      tap(({ url }) => this.#log(`metrics at ${url}`)),
      map(() => metrics),
      catchError((error: unknown) => {
        if (!isUsual) throw error;
        this.#log(`no metrics: ${messageOf(error)}, with --metrics-port`);
        return of(undefined);
      }),
    );
  }

  /** Emits once it is served, or at once if it is not to be. */
  #dashboard(shown: readonly Shown[]): Observable<unknown> {
    const { dashboardPort: port } = this.#options;
    if (port === undefined) return of(undefined);
    const sinks = shown.map(({ name, sink }): Watchable => {
      const { watch, openWatch } = sink;
      return { id: name, watch, openWatch };
    });
    return dashboard({ sinks, port }).pipe(tap(({ url }) => this.#log(`dashboard at ${url}`)));
  }

  /** How its streams stand, for the metrics. */
  #figures({ pipeline, sink }: Shown, { registry, redisMetrics }: Metrics): Observable<never> {
    return watchSink(sink, { redisEveryMs }).redisFigures$.pipe(
      tap(redisMetrics({ pipeline, sink: sink.id, registry })),
      ignoreElements(),
    );
  }
}
