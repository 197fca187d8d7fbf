import { defer, filter, type Observable, takeUntil } from "rxjs";
import type { Checkpoint } from "../event/checkpoint.ts";
import { replicate } from "./replicate.ts";
import { sourceFrom } from "./source.ts";

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
    const stopped = sourceFrom(source, (...opening) =>
      defer(() => {
        isOpen = true;
        return source(...opening);
      }).pipe(takeUntil(stop$)),
    );
    return replicate<T, P>({ source: stopped, sink }).pipe(takeUntil(stop$.pipe(filter(() => !isOpen))));
  });
}
