import type { Option } from "fp-ts/lib/Option.js";
import type { FailedAttempt } from "../../operators/retryBackoff.ts";
import { guarded } from "../errors/guarded.ts";
import { isSinkError } from "../sinkError.ts";
import type { GroupOptions } from "./consumerOptions.ts";
import type { ConsumerReport } from "./consumerReport.ts";
import type { ConsumerStatus } from "./consumerStatus.ts";

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

/** Makes the reporter of one subscription, which reports `closed` once. */
export function consumerReporter({
  status,
  metrics,
}: Pick<GroupOptions<never>, "status" | "metrics">): ConsumerReporter {
  const tellStatus = guarded("status", status && ((next: ConsumerStatus) => status.next(next)));
  const countStatus = guarded("metrics", metrics && ((next: ConsumerStatus) => metrics.status(next)));
  let state: ConsumerStatus["state"] | undefined;

  function report(next: ConsumerStatus): void {
    if (state === "closed") return;
    if (doings.has(next.state)) state = next.state;
    tellStatus(next);
    countStatus(next);
  }

  return {
    report,
    reached: () => {
      if (state !== "reading" && state !== "draining") report({ state: "reading" });
    },
    failed: ({ attempt, delayMs, error }) => {
      if (isSinkError(error)) report({ state: "retrying", attempt, delayMs, cause: error });
    },
    closed: (cause) => report({ state: "closed", cause }),
    delivered: guarded("metrics", metrics && ((deliveries: number) => metrics.delivered(deliveries))),
    acknowledged: guarded("metrics", metrics && ((deliveries: number) => metrics.acknowledged(deliveries))),
    held: guarded("metrics", metrics && ((deliveries: number) => metrics.held(deliveries))),
  };
}
