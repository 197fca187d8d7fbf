import { ignoreElements, interval, type Observable, tap } from "rxjs";
import { isLoss } from "./delivery.ts";
import type { Held } from "./held.ts";
import type { Settling } from "./settling.ts";

/** Tells Redis now and then that all that is held is alive; finds out what is not this consumer's any more. */
export function signsOfLife(held: Held, settlements: Settling, everyMs: number): Observable<never> {
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

  return interval(everyMs).pipe(tap(giveSigns), ignoreElements());
}
