import type { Registry } from "prom-client";
import type { Observer } from "rxjs";
import { retryCauses } from "../errors/rxaddError.ts";
import { refuseUnknown } from "../options/decodeOptions.ts";
import type { ConsumerObserver } from "../telemetry/consumerObserver.ts";
import type { ConsumerStatus } from "../telemetry/consumerStatus.ts";
import type { GroupFigures } from "../telemetry/groupFigures.ts";
import { familiesIn } from "./familiesIn.ts";
import { groupFamilies } from "./groupFamilies.ts";
import { type MetricsRegistry, registryOf } from "./metricsRegistry.ts";

/** Which series a consumer's metrics are, and where they are kept. */
export interface ConsumerMetricsOptions {
  readonly group: string;
  /** Default: empty. */
  readonly consumer?: string;
  /** Where the metrics are registered; sinks and consumers may share one. Default: a new one. */
  readonly registry?: MetricsRegistry;
}

/** The metrics of one consumer. */
export interface ConsumerMetrics extends Required<ConsumerObserver> {
  readonly registry: Registry;
  /** For `deduplicate`: counts what it skips. */
  readonly skipped: Pick<Observer<unknown>, "next">;
  /** For `watchGroup`: shows how far the group is. */
  readonly group: Pick<Observer<GroupFigures>, "next">;
}

/**
 * Makes the metrics of one consumer, to pass as one of its `observers`; docs/metrics.md lists them.
 *
 * @example
 * ```ts
 * const metrics = consumerMetrics({ group: "mailer", registry });
 * groupDeliveries<Order>({ uri, stream, group: "mailer", observers: metrics });
 * watchGroup({ uri, stream, group: "mailer" }).subscribe(metrics.group);
 * ```
 */
export function consumerMetrics(options: ConsumerMetricsOptions): ConsumerMetrics {
  refuseUnknown("consumerMetrics", options, { group: true, consumer: true, registry: true });
  const { group, consumer = "" } = options;
  const registry = registryOf(options.registry);
  const labels = { group, consumer };
  const series = consumerSeries(registry, labels);
  const { lag, pending, consumers } = groupFamilies(registry);
  series.held.inc(labels, 0);
  for (const cause of retryCauses) series.retries.inc({ ...labels, cause }, 0);

  // Others may have the same labels; together they hold the sum.
  let mine = 0;
  function hold(count: number): void {
    series.held.inc(labels, count - mine);
    mine = count;
  }

  function status(now: ConsumerStatus): void {
    switch (now.state) {
      case "retrying":
        series.retries.inc({ ...labels, cause: now.cause._tag });
        break;
      case "claimed":
        series.claimed.inc(now.entries);
        break;
      case "lost":
        series.lost.inc();
        break;
      case "gone":
        series.gone.inc();
        break;
      case "gap":
        series.missed.inc(now.missed ?? 1);
        break;
      case "rejected":
        series.rejected.inc();
        break;
      case "deadLetter":
        series.deadLetters.inc();
        break;
      case "closed":
        hold(0);
    }
  }

  return {
    registry,
    status,
    delivered: (count) => series.deliveries.inc(count),
    acknowledged: (count) => series.acknowledged.inc(count),
    held: hold,
    skipped: { next: () => series.duplicates.inc() },
    group: {
      next: (figures) => {
        const of = { stream: figures.stream, group: figures.group };
        if (figures.lag === undefined) lag.remove(of);
        else lag.set(of, figures.lag);
        pending.set(of, figures.pending);
        consumers.set(of, figures.consumers.length);
      },
    },
  };
}

/** The series of a consumer, by what they count; those that may be of several, or have a cause, with all of them. */
function consumerSeries(registry: Registry, labels: { readonly group: string; readonly consumer: string }) {
  const { count, counter, gauge } = familiesIn(registry);
  const ofConsumer = ["group", "consumer"] as const;
  const series = (name: string, help: string) => count(`rxadd_consumer_${name}_total`, help, labels);
  return {
    deliveries: series("deliveries", "Deliveries handed out, those that came again included"),
    acknowledged: series("acknowledged", "Deliveries acknowledged"),
    rejected: series("rejected", "Deliveries that failed and come again"),
    deadLetters: series("dead_letters", "Deliveries set aside"),
    duplicates: series("duplicates", "Deliveries acknowledged without being handled, as duplicates"),
    claimed: series("claimed", "Deliveries claimed, as nobody had given a sign of them"),
    lost: series("lost", "Deliveries that other consumers took over"),
    gone: series("gone", "Deliveries that were not pending any more, so that nothing of them was written"),
    missed: series("missed", "Entries trimmed before the group had read them"),
    retries: counter("rxadd_consumer_retries_total", "Failed attempts to reach Redis, by cause", [
      ...ofConsumer,
      "cause",
    ]),
    held: gauge("rxadd_consumer_held", "Deliveries handed out and not settled", ofConsumer),
  };
}
