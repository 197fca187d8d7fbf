import type { Option } from "fp-ts/lib/Option.js";
import type { FailedAttempt } from "../operators/retryBackoff.ts";
import { isSinkError } from "./sinkError.ts";
import type { SinkSettings } from "./sinkOptions.ts";
import type { Status } from "./status.ts";

/** Tells the user's observer and the metrics what a sink is doing. */
export interface StatusReporter {
  readonly report: (status: Status) => void;
  /** A batch came through: reports `publishing` if the sink was not. */
  readonly published: () => void;
  /** Told by `retryBackoff`. */
  readonly failed: { readonly next: (attempt: FailedAttempt) => void };
  readonly closed: (cause: Option<Error>) => void;
}

/** What comes beside what the sink is doing. */
const asides: ReadonlySet<Status["state"]> = new Set(["warning", "paused", "resumed", "deadLetter"]);

/** Makes the reporter of one subscription, which reports `closed` once. */
export function statusReporter({
  status,
  metrics,
}: Pick<SinkSettings<never, never>, "status" | "metrics">): StatusReporter {
  let state: Status["state"] | undefined;

  function report(next: Status): void {
    if (state === "closed") return;
    if (!asides.has(next.state)) state = next.state;
    status?.next(next);
    metrics?.status(next);
  }

  return {
    report,
    published: () => {
      if (state !== "publishing") report({ state: "publishing" });
    },
    failed: {
      next: ({ attempt, delayMs, error }) => {
        if (isSinkError(error)) report({ state: "retrying", attempt, delayMs, cause: error });
      },
    },
    closed: (cause) => {
      if (state !== "rewound") report({ state: "closed", cause });
    },
  };
}
