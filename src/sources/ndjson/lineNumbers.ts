import { isNone, type Option } from "fp-ts/lib/Option.js";
import { concat, defer, EMPTY, type MonoTypeOperatorFunction, type Observable, tap, throwError } from "rxjs";
import { sourceError } from "../../errors/rxaddError.ts";
import type { StandardPosition } from "../../event/positions.ts";
import type { NdjsonLine } from "./ndjson.ts";

/**
 * Refuses input, of lines without positions, that ends before the line where the stream ends: it is another input, taken for one
 * that is there already, and nothing of it is published.
 */
export function reaches(from: Option<StandardPosition>, name: string): MonoTypeOperatorFunction<NdjsonLine> {
  if (isNone(from) || typeof from.value !== "number") return (lines$) => lines$;
  const end = from.value;
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
          if (last === undefined || !last.isNumbered || Number(last.position) >= end) return EMPTY;
          const { position } = last;
          return throwError(() =>
            sourceError(
              "InputInvalid",
              `${name}: found its end at line ${position}, expected line ${end}, where the stream ends under this id: it is another input, and nothing of it is published. Give it an id of its own, or its events positions`,
            ),
          );
        }),
      );
    });
}
