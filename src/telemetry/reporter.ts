import type { FailedAttempt } from "../../operators/retryBackoff.ts";
import { isRxaddError } from "../errors/rxaddError.ts";
import { type AnyStatus, isWork } from "./states.ts";

/** What sinks and consumers tell alike. */
type Shared = Extract<AnyStatus, { readonly state: "retrying" | "closed" }>;

/** Tells what a sink or a consumer is doing, for one subscription. */
export interface Reporter<S extends AnyStatus> {
  readonly report: (status: S) => void;
  /** Redis did as it should: reports the work if that is not what it was doing. */
  readonly reached: () => void;
  /** Told by `retryBackoff`. */
  readonly failed: (attempt: FailedAttempt) => void;
  readonly closed: (cause: Error | undefined) => void;
}

/**
 * Makes a reporter, which reports `closed` once.
 *
 * @param states - those of its side
 * @param work - what it is there for
 */
export function reporter<S extends AnyStatus>(
  states: Readonly<Record<S["state"], { readonly is: string }>>,
  work: S,
  tell: (status: S | Shared) => void,
): Reporter<S> {
  let now: S | Shared | undefined;

  function report(next: S | Shared): void {
    if (now?.state === "closed") return;
    // What both sides tell is in the table of each.
    if (states[next.state as S["state"]].is !== "aside") now = next;
    tell(next);
  }

  return {
    report,
    reached: () => {
      if (now === undefined || !isWork(now)) report(work);
    },
    failed: ({ attempt, delayMs, error }) => {
      if (!isRxaddError(error)) return;
      report({ state: "retrying", attempt, delayMs: Math.round(delayMs), cause: error });
    },
    closed: (cause) => {
      // Whoever goes on for it then tells its end.
      if (now?.state !== "rewound") report({ state: "closed", cause });
    },
  };
}
