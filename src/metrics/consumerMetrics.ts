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
  const { counter, gauge } = familiesIn(registry);
  const labels = { group, consumer };
  const ofConsumer = ["group", "consumer"] as const;

  const count = (name: string, help: string) => {
    const series = counter(`rxadd_consumer_${name}_total`, help, ofConsumer).labels(labels);
    // There from the start: rate() cannot see the step from nothing to the first value.
    series.inc(0);
    return series;
  };
  const deliveries = count("deliveries", "Deliveries handed out, those that came again included");
  const acknowledged = count("acknowledged", "Deliveries acknowledged");
  const rejected = count("rejected", "Deliveries that failed and come again");
  const deadLetters = count("dead_letters", "Deliveries set aside");
  const duplicates = count("duplicates", "Deliveries acknowledged without being handled, as duplicates");
  const claimed = count("claimed", "Deliveries claimed, as nobody had given a sign of them");
  const lost = count("lost", "Deliveries that other consumers took over");
  const gone = count(
    "gone",
    "Deliveries that were not pending any more, so that nothing of them was written",
  );
  const missed = count("missed", "Entries trimmed before the group had read them");
  const retries = counter("rxadd_consumer_retries_total", "Failed attempts to reach Redis, by cause", [
    ...ofConsumer,
    "cause",
  ]);
  const held = gauge("rxadd_consumer_held", "Deliveries handed out and not settled", ofConsumer);
  const { lag, pending, consumers } = groupFamilies(registry);
  held.inc(labels, 0);
  for (const cause of retryCauses) retries.inc({ ...labels, cause }, 0);

  // Others may have the same labels; together they hold the sum.
  let mine = 0;
  function hold(count: number): void {
    held.inc(labels, count - mine);
    mine = count;
  }

  function status(now: ConsumerStatus): void {
    switch (now.state) {
      case "retrying":
        retries.inc({ ...labels, cause: now.cause._tag });
        break;
      case "claimed":
        claimed.inc(now.entries);
        break;
      case "lost":
        lost.inc();
        break;
      case "gone":
        gone.inc();
        break;
      case "gap":
        missed.inc(now.missed ?? 1);
        break;
      case "rejected":
        rejected.inc();
        break;
      case "deadLetter":
        deadLetters.inc();
        break;
      case "closed":
        hold(0);
    }
  }

  return {
    registry,
    status,
    delivered: (count) => deliveries.inc(count),
    acknowledged: (count) => acknowledged.inc(count),
    held: hold,
    skipped: { next: () => duplicates.inc() },
    group: {
      next: (figures) => {
        const series = { stream: figures.stream, group: figures.group };
        if (figures.lag === undefined) lag.remove(series);
        else lag.set(series, figures.lag);
        pending.set(series, figures.pending);
        consumers.set(series, figures.consumers.length);
      },
    },
  };
}
