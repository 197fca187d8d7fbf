import type { Observer } from "rxjs";
import type { FailedAttempt } from "../../operators/retryBackoff.ts";
import { type Reporter, reporter } from "./reporter.ts";
import { sinkStates } from "./states.ts";
import type { Status } from "./status.ts";

/** Tells whoever watches a sink what it is doing. */
export interface StatusReporter extends Pick<Reporter<Status>, "report" | "closed"> {
  /** A batch came through: reports `publishing` if the sink was not. */
  readonly published: () => void;
  /** Told by `retryBackoff`. */
  readonly failed: { readonly next: (attempt: FailedAttempt) => void };
}

/** Makes the reporter of one subscription, which reports `closed` once. */
export function statusReporter(observer: Pick<Observer<Status>, "next">): StatusReporter {
  const { report, reached, failed, closed } = reporter<Status>(
    sinkStates,
    { state: "publishing" },
    (status) => observer.next(status),
  );
  return { report, published: reached, failed: { next: failed }, closed };
}
