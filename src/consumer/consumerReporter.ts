import type { Option } from "fp-ts/lib/Option.js";
import type { FailedAttempt } from "../../operators/retryBackoff.ts";
import { isSinkError } from "../sinkError.ts";
import type { GroupOptions } from "./consumerOptions.ts";
import type { ConsumerStatus } from "./consumerStatus.ts";

/** Tells the user's observer and the metrics what a consumer is doing. */
export interface ConsumerReporter {
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
  let state: ConsumerStatus["state"] | undefined;

  function report(next: ConsumerStatus): void {
    if (state === "closed") return;
    if (doings.has(next.state)) state = next.state;
    status?.next(next);
    metrics?.status(next);
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
  };
}
