import { type Observable, takeUntil } from "rxjs";
import { type Source, sourceFrom } from "../source.ts";

/** A source that completes when `stop$` emits, so that the sink drains. */
export function until<T, P>(source: Source<T, P>, stop$: Observable<unknown>): Source<T, P> {
  return sourceFrom(source, (...opening) => source(...opening).pipe(takeUntil(stop$)));
}
