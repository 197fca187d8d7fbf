import type { Observer } from "rxjs";
import type { ConsumerObserver } from "./consumerObserver.ts";
import type { ConsumerStatus } from "./consumerStatus.ts";
import { guard } from "./guard.ts";
import { type Reporter, reporter } from "./reporter.ts";
import { consumerStates } from "./states.ts";

/** Who is told what a consumer is doing. */
export interface ConsumerObservers {
  readonly status?: Pick<Observer<ConsumerStatus>, "next">;
  readonly metrics?: ConsumerObserver;
}

/** Tells the user's observer and the metrics what a consumer is doing; what they throw ends nothing. */
export interface ConsumerReporter extends Omit<ConsumerObserver, "status">, Reporter<ConsumerStatus> {}

const nothing = () => {};

/**
 * Makes the reporter of one subscription, which reports `closed` once.
 *
 * @param who - the consumer, for the warning that one of them throws
 */
export function consumerReporter(who: string, { status, metrics }: ConsumerObservers): ConsumerReporter {
  const guarded = guard((message) => {
    // Whoever has failed may be the one who hears of the status.
    process.emitWarning(`${who}: ${message}`, "RxaddWarning");
    told.report({ state: "warning", message });
  });

  const told = reporter<ConsumerStatus>(consumerStates, { state: "reading" }, (now) => {
    if (status !== undefined) guarded("status", () => status.next(now));
    if (metrics !== undefined) guarded("metrics", () => metrics.status(now));
  });

  const counts: Pick<ConsumerObserver, "delivered" | "acknowledged" | "held"> =
    metrics === undefined
      ? { delivered: nothing, acknowledged: nothing, held: nothing }
      : {
          delivered: (deliveries) => guarded("metrics", () => metrics.delivered(deliveries)),
          acknowledged: (deliveries) => guarded("metrics", () => metrics.acknowledged(deliveries)),
          held: (deliveries) => guarded("metrics", () => metrics.held(deliveries)),
        };

  return { ...counts, ...told };
}
