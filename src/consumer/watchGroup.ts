import {
  defer,
  distinctUntilChanged,
  exhaustMap,
  filter,
  finalize,
  ignoreElements,
  merge,
  type Observable,
  timer,
} from "rxjs";
import { retryBackoff } from "../../operators/retryBackoff.ts";
import { isRetryable } from "../errors/rxaddError.ts";
import { openGroupWatch } from "../redis/inspect/groupWatch.ts";
import type { GroupFigures } from "../telemetry/groupFigures.ts";
import { type WatchGroupOptions, watchTuning } from "./groupOptions.ts";

/**
 * How far a group is: lag, pending deliveries and its consumers, whenever that has changed.
 *
 * ```
 * lag     0---5---5---0--     looks every 4 ms
 * result  a---b-------c--
 * ```
 *
 * - **Streams** one value each; a stream without the group gives none.
 * - **Errors** a lost connection is waited for; an {@link RxaddError} where that cannot help.
 * - **Completion** never. **Teardown** closes the connection.
 *
 * @example
 * ```ts
 * watchGroup({ uri: "redis://localhost", stream: "orders.events", group: "mailer" })
 *   .subscribe(({ lag, pending }) => console.log(lag, pending));
 * ```
 */
export function watchGroup(options: WatchGroupOptions): Observable<GroupFigures> {
  const { stream: streams, group, everyMs, retry, ...access } = watchTuning(options);
  return defer(() => {
    const { look, failure$, unsubscribe } = openGroupWatch(options, {
      ...access,
      name: `rxadd:${group}:status`,
    });
    const looks = streams.map((stream) =>
      timer(0, everyMs).pipe(
        exhaustMap(() => look(stream, group).pipe(retryBackoff({ ...retry, isRetryable }))),
        filter((figures) => figures !== undefined),
        distinctUntilChanged((a, b) => worth(a) === worth(b)),
      ),
    );
    return merge(failure$.pipe(ignoreElements()), ...looks).pipe(finalize(unsubscribe));
  });
}

/** What makes a difference: not for how long a consumer has been idle. */
function worth({ consumers, ...figures }: GroupFigures): string {
  return JSON.stringify([figures, consumers.map(({ name, pending }) => [name, pending])]);
}
