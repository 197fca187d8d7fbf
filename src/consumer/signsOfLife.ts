import { ignoreElements, interval, type Observable, tap } from "rxjs";
import type { ConsumerParts } from "./consumerParts.ts";
import { isLoss } from "./delivery.ts";

/** Tells Redis now and then that all that is held is alive; finds out what is not this consumer's any more. */
export function signsOfLife({ tuning, held, settlements }: ConsumerParts): Observable<never> {
  let unanswered = 0;

  function giveSigns(): void {
    if (unanswered > 0) return;
    for (const holding of held.all()) {
      const { stream, entryId } = holding;
      unanswered += 1;
      settlements.ask({
        kind: "keepAlive",
        stream,
        entryId,
        keep: 0,
        done: (outcome) => {
          unanswered -= 1;
          if (isLoss(outcome)) held.lose(holding, outcome);
        },
      });
    }
  }

  return interval(tuning.claimIdleMs / 3).pipe(tap(giveSigns), ignoreElements());
}
