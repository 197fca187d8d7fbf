import { concat, defer, EMPTY, type MonoTypeOperatorFunction, type Observable, tap, throwError } from "rxjs";
import { sourceError } from "../../errors/rxaddError.ts";
import type { StandardPosition } from "../../event/positions.ts";
import type { NdjsonLine } from "./ndjson.ts";

/**
 * Refuses input, of lines without positions, that ends before the line where the stream ends: it is another input, taken for one
 * that is there already, and nothing of it is published.
 */
export function reaches(
  from: StandardPosition | undefined,
  name: string,
): MonoTypeOperatorFunction<NdjsonLine> {
  if (typeof from !== "number") return (lines$) => lines$;
  return (lines$) =>
    defer(() => {
      let last: NdjsonLine | undefined;
      return concat(
        lines$.pipe(
          tap((line) => {
            last = line;
          }),
        ),
        defer((): Observable<never> => {
          if (last === undefined || !last.isNumbered || Number(last.position) >= from) return EMPTY;
          const { position } = last;
          return throwError(() =>
            sourceError(
              "InputInvalid",
              `${name}: found its end at line ${position}, expected line ${from}, where the stream ends under this id: it is another input, and nothing of it is published. Give it an id of its own, or its events positions`,
            ),
          );
        }),
      );
    });
}
