import { concatMap, forkJoin, map, type Observable, of, tap } from "rxjs";
import { entryIdBefore } from "../event/entryId.ts";
import type { ConsumerParts } from "./consumerParts.ts";

/**
 * Makes a group anew that is gone, with its stream or without.
 *
 * @param latest - by stream, the last entry that was read
 */
export function renewGroup(
  { connection, tuning, held, reporter }: ConsumerParts,
  latest: ReadonlyMap<string, string>,
): Observable<unknown> {
  const { stream: streams, start } = tuning;

  /** Where its stream stands the group begins as a new one does; else all that is there now is new. */
  function beginningOf(stream: string): Observable<string> {
    const last = latest.get(stream);
    if (start === "0-0" || last === undefined) return of("0-0");
    return connection.has(stream, last).pipe(
      map((stands) => {
        if (!stands) return "0-0";
        if (start !== "$") return start;
        const oldest = held.all().find((holding) => holding.stream === stream);
        return oldest === undefined ? last : entryIdBefore(oldest.entryId);
      }),
    );
  }

  return forkJoin(
    streams.map((stream) =>
      beginningOf(stream).pipe(
        concatMap((from) =>
          connection.create(stream, from).pipe(
            tap((wasThere) => {
              if (!wasThere) reporter.report({ state: "warning", message: renewedText(stream, from) });
            }),
          ),
        ),
      ),
    ),
  );
}

function renewedText(stream: string, from: string): string {
  return `${stream}: the group was gone; it is made anew, and reads from ${from === "0-0" ? "the beginning" : `after ${from}`}`;
}
