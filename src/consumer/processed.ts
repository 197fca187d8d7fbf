import { forkJoin, map, type Observable, of } from "rxjs";
import type { Marked } from "./marked.ts";

/** Those of one stream, and of each whether its group has processed its event before. */
export interface Checked<E> {
  readonly all: readonly Marked<E>[];
  readonly processed: readonly boolean[];
}

/** Asks which of them are processed already, once for each stream. */
export function checked<E>(all: readonly Marked<E>[]): Observable<readonly Checked<E>[]> {
  const streams = [...new Set(all.map(({ stream }) => stream))];
  return forkJoin(
    streams.map((name) => {
      const own = streams.length === 1 ? all : all.filter(({ stream }) => stream === name);
      const answer = own[0]?.processed(own.map(({ id }) => id)) ?? of([]);
      return answer.pipe(map((processed) => ({ all: own, processed })));
    }),
  );
}
