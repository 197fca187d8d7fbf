import { type Observable, takeUntil } from "rxjs";
import type { Source } from "../source.ts";

/** A source that completes when `stop$` emits, so that the sink drains. */
export function until<T, P>(source: Source<T, P>, stop$: Observable<unknown>): Source<T, P> {
  const stopped: Source<T, P> = (from, flow) => source(from, flow).pipe(takeUntil(stop$));
  return source.acknowledge === undefined
    ? stopped
    : Object.assign(stopped, { acknowledge: source.acknowledge });
}
