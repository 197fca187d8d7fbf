import {
  distinctUntilChanged,
  exhaustMap,
  filter,
  ignoreElements,
  merge,
  type Observable,
  timer,
} from "rxjs";
import { retryBackoff } from "../../operators/retryBackoff.ts";
import { session } from "../redis/connect/session.ts";
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
  const open = () => openGroupWatch(options, { ...access, name: `rxadd:${group}:status` });
  return session({ open, retry }, ({ look, failure$ }, again) => {
    const looks = streams.map((stream) =>
      timer(0, everyMs).pipe(
        exhaustMap(() => look(stream, group).pipe(retryBackoff(again))),
        filter((figures) => figures !== undefined),
        distinctUntilChanged((a, b) => worth(a) === worth(b)),
      ),
    );
    return merge(failure$.pipe(ignoreElements()), ...looks);
  });
}

/** What makes a difference: not for how long a consumer has been idle. */
function worth({ consumers, ...figures }: GroupFigures): string {
  return JSON.stringify([figures, consumers.map(({ name, pending }) => [name, pending])]);
}
