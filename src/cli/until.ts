import { defer, filter, type Observable, takeUntil } from "rxjs";
import type { Checkpoint } from "../checkpoint.ts";
import { replicate } from "../replicate.ts";

/**
 * Replicates until `stop$` emits. Then the source completes, so that the sink drains; where it is not open, because Redis cannot
 * be reached, there is nothing to drain, and all ends at once.
 */
export function replicateUntil<T, P>(
  stop$: Observable<unknown>,
  { source, sink }: Parameters<typeof replicate<T, P>>[0],
): Observable<Checkpoint<P>> {
  return defer(() => {
    let isOpen = false;
    const stopped: typeof source = (from, flow) =>
      defer(() => {
        isOpen = true;
        return source(from, flow);
      }).pipe(takeUntil(stop$));
    return replicate<T, P>({
      source:
        source.acknowledge === undefined
          ? stopped
          : Object.assign(stopped, { acknowledge: source.acknowledge }),
      sink,
    }).pipe(takeUntil(stop$.pipe(filter(() => !isOpen))));
  });
}
