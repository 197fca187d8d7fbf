import type { ConsumerObserver } from "./consumerObserver.ts";
import type { ConsumerStatus } from "./consumerStatus.ts";
import { type GivenObservers, Observers, observersIn } from "./observers.ts";
import { type Reporter, reporter } from "./reporter.ts";
import { consumerStates } from "./states.ts";

/** Tells what a consumer is doing to all whom its options name; of what nobody wants to hear there is no function. */
export interface ConsumerReporter extends Omit<ConsumerObserver, "status">, Reporter<ConsumerStatus> {}

/**
 * Makes the reporter of one subscription, which reports `closed` once.
 *
 * @param who - the consumer, for the warning that one of them throws
 */
export function consumerReporter(
  who: string,
  given: GivenObservers<ConsumerStatus, ConsumerObserver>,
): ConsumerReporter {
  const observers = new Observers<ConsumerObserver>(who, observersIn(given), (message) =>
    told.report({ state: "warning", message }),
  );
  const told = reporter<ConsumerStatus>(consumerStates, { state: "reading" }, (now) =>
    observers.tell("status", (observer) => observer.status?.(now)),
  );
  const counting = (what: "delivered" | "acknowledged" | "held") =>
    observers.want(what)
      ? { [what]: (deliveries: number) => observers.tell(what, (observer) => observer[what]?.(deliveries)) }
      : {};
  return { ...told, ...counting("delivered"), ...counting("acknowledged"), ...counting("held") };
}
