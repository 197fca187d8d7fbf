import { identity, map, merge, type Observable, Subject, takeUntil, tap } from "rxjs";
import type { Checkpoint } from "../event/checkpoint.ts";
import { Skipped } from "./keepPositions.ts";
import type { OpenSource } from "./sink.ts";
import type { Source } from "./source.ts";

/** A source as a sink reads it, with the positions that it passes. */
export interface WithPassed<T, P> {
  readonly open: OpenSource<T, P>;
  /** A checkpoint of the sink without what were no events of the source. */
  readonly ofEvents: (checkpoint: Checkpoint<P>) => Checkpoint<P>;
}

/** Puts the positions that a source passes among its events, for one subscription. */
export function withPassed<T, P>(source: Source<T | Skipped<P>, P>): WithPassed<T, P> {
  const { passed } = source;
  if (passed === undefined) return { open: source, ofEvents: identity };
  /** What the sink was given, and which of it, counted from 0, were no events. */
  let given = 0;
  let covered = 0;
  const places: number[] = [];

  function skippedAt(position: P): Skipped<P> {
    places.push(given);
    given += 1;
    return new Skipped(position, undefined);
  }

  return {
    open: (...opening): Observable<T | Skipped<P>> => {
      const done = new Subject<void>();
      const events$ = source(...opening).pipe(
        tap({
          next: () => {
            given += 1;
          },
          complete: () => done.next(),
        }),
      );
      // At once, and before the source is opened: it may have something to tell then.
      return merge(passed.pipe(map(skippedAt), takeUntil(done)), events$);
    },
    ofEvents: (checkpoint) => {
      covered += checkpoint.events;
      let passedOver = 0;
      for (let [place] = places; place !== undefined && place < covered; [place] = places) {
        places.shift();
        passedOver += 1;
      }
      return passedOver === 0 ? checkpoint : { ...checkpoint, events: checkpoint.events - passedOver };
    },
  };
}
