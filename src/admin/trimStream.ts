import * as t from "io-ts";
import { concat, EMPTY, expand, map, type Observable, reduce, switchMap } from "rxjs";
import { entryId, flag, wholeNumber } from "../options/codecs.ts";
import { decodeOptions } from "../options/decodeOptions.ts";
import { optional, Settings, withDefault } from "../options/settings.ts";
import { decodeReply } from "../redis/wire/replies.ts";
import { onStream, type StreamOptions } from "./openStream.ts";

/** What stays in a stream; the oldest entries go. */
export type TrimLimit = (
  | {
      /** So many entries stay. */
      readonly maxLength: number;
    }
  | {
      /** Entries from this ID on stay. */
      readonly minId: string;
    }
) & {
  /** Removes only whole nodes, of 100 entries by default, which is cheaper: some more stay. Default false. */
  readonly approximate?: boolean | undefined;
};

/** What trimming did. */
export interface Trimmed {
  readonly removed: number;
  /** Entries in the stream afterwards. */
  readonly length: number;
}

/** How many entries one command may remove: Redis serves nobody else meanwhile. */
const mostAtOnce = 10_000;

const settings = new Settings(
  {
    max_length: optional(wholeNumber, "So many entries stay"),
    min_id: optional(entryId, "Entries from this ID on stay"),
    approximate: withDefault(flag, false, "Removes whole nodes only"),
  },
  ({ maxLength, minId }) =>
    (maxLength === undefined) === (minId === undefined)
      ? `found ${minId === undefined ? "neither" : "both"} maxLength ${minId === undefined ? "nor" : "and"} minId, expected one of them`
      : undefined,
).inProgram();

/**
 * Removes the oldest entries, also those that a group has not read or has pending. Emits what it did,
 * then completes. It takes steps of up to 10,000 entries, so that Redis stays responsive.
 */
export function trimStream(at: StreamOptions, limit: TrimLimit): Observable<Trimmed> {
  return onStream(at, ({ key, call }) => {
    // One of both is there; a limit that is not removes nothing.
    const {
      maxLength = Number.MAX_SAFE_INTEGER,
      minId,
      approximate,
    } = decodeOptions(settings, "trimStream", limit, []);
    const [strategy, threshold] = minId === undefined ? ["MAXLEN", maxLength] : ["MINID", minId];
    const trim = (...how: readonly (string | number)[]) =>
      call("XTRIM", key, strategy, ...how).pipe(map(decodeReply("XTRIM", t.number)));
    return inSteps(
      trim("~", threshold, "LIMIT", mostAtOnce),
      approximate ? EMPTY : trim("=", threshold),
    ).pipe(
      switchMap((removed) =>
        call("XLEN", key).pipe(
          map(decodeReply("XLEN", t.number)),
          map((length) => ({ removed, length })),
        ),
      ),
    );
  });
}

/** Repeats a step, as approximate as it is, until it removes nothing; then `last`. Emits the sum. */
function inSteps(step: Observable<number>, last: Observable<number>): Observable<number> {
  const steps = step.pipe(expand((removed) => (removed > 0 ? step : EMPTY)));
  return concat(steps, last).pipe(reduce((total, removed) => total + removed, 0));
}
