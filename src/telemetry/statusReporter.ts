import type { Option } from "fp-ts/lib/Option.js";
import type { Observer } from "rxjs";
import type { FailedAttempt } from "../../operators/retryBackoff.ts";
import { isRxaddError } from "../errors/rxaddError.ts";
import { isAside, type Status } from "./status.ts";

/** Tells whoever watches a sink what it is doing. */
export interface StatusReporter {
  readonly report: (status: Status) => void;
  /** A batch came through: reports `publishing` if the sink was not. */
  readonly published: () => void;
  /** Told by `retryBackoff`. */
  readonly failed: { readonly next: (attempt: FailedAttempt) => void };
  readonly closed: (cause: Option<Error>) => void;
}

/** Makes the reporter of one subscription, which reports `closed` once. */
export function statusReporter(observer: Pick<Observer<Status>, "next">): StatusReporter {
  let state: Status["state"] | undefined;

  function report(next: Status): void {
    if (state === "closed") return;
    if (!isAside(next)) state = next.state;
    observer.next(next);
  }

  return {
    report,
    published: () => {
      if (state !== "publishing") report({ state: "publishing" });
    },
    failed: {
      next: ({ attempt, delayMs, error }) => {
        if (isRxaddError(error)) report({ state: "retrying", attempt, delayMs, cause: error });
      },
    },
    closed: (cause) => {
      if (state !== "rewound") report({ state: "closed", cause });
    },
  };
}
