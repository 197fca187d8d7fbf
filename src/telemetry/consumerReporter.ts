import type { Option } from "fp-ts/lib/Option.js";
import type { Observer } from "rxjs";
import type { FailedAttempt } from "../../operators/retryBackoff.ts";
import { isRxaddError } from "../errors/rxaddError.ts";
import type { ConsumerReport } from "./consumerReport.ts";
import type { ConsumerStatus } from "./consumerStatus.ts";
import { guard } from "./guard.ts";

/** Who is told what a consumer is doing. */
export interface ConsumerObservers {
  readonly status?: Pick<Observer<ConsumerStatus>, "next">;
  readonly metrics?: ConsumerReport;
}

/** Tells the user's observer and the metrics what a consumer is doing; what they throw ends nothing. */
export interface ConsumerReporter extends Omit<ConsumerReport, "status"> {
  readonly report: (status: ConsumerStatus) => void;
  /** Redis answered: reports `reading` if the consumer was not. */
  readonly reached: () => void;
  /** Told by `retryBackoff`. */
  readonly failed: (attempt: FailedAttempt) => void;
  readonly closed: (cause: Option<Error>) => void;
}

const doings: ReadonlySet<ConsumerStatus["state"]> = new Set([
  "connecting",
  "reading",
  "retrying",
  "draining",
  "closed",
]);

const nothing = () => {};

/**
 * Makes the reporter of one subscription, which reports `closed` once.
 *
 * @param who - the consumer, for the warning that one of them throws
 */
export function consumerReporter(who: string, { status, metrics }: ConsumerObservers): ConsumerReporter {
  let state: ConsumerStatus["state"] | undefined;
  const guarded = guard((message) => {
    // Whoever has failed may be the one who hears of the status.
    process.emitWarning(`${who}: ${message}`, "RxaddWarning");
    report({ state: "warning", message });
  });

  function report(next: ConsumerStatus): void {
    if (state === "closed") return;
    if (doings.has(next.state)) state = next.state;
    if (status !== undefined) guarded("status", () => status.next(next));
    if (metrics !== undefined) guarded("metrics", () => metrics.status(next));
  }

  const counts: Pick<ConsumerReport, "delivered" | "acknowledged" | "held"> =
    metrics === undefined
      ? { delivered: nothing, acknowledged: nothing, held: nothing }
      : {
          delivered: (deliveries) => guarded("metrics", () => metrics.delivered(deliveries)),
          acknowledged: (deliveries) => guarded("metrics", () => metrics.acknowledged(deliveries)),
          held: (deliveries) => guarded("metrics", () => metrics.held(deliveries)),
        };

  return {
    ...counts,
    report,
    reached: () => {
      if (state !== "reading" && state !== "draining") report({ state: "reading" });
    },
    failed: ({ attempt, delayMs, error }) => {
      if (isRxaddError(error)) report({ state: "retrying", attempt, delayMs, cause: error });
    },
    closed: (cause) => report({ state: "closed", cause }),
  };
}
