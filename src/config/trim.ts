import { left, right } from "fp-ts/lib/Either.js";
import type { Trim } from "../redis/trimming.ts";
import { count, entryId, flag, timeout } from "./codecs.ts";
import { optional, Settings, withDefault } from "./settings.ts";

/** What of a stream is removed after each batch: by exactly one of four measures. */
export const trim = new Settings(
  {
    max_len: optional(count, "So many entries stay"),
    min_id: optional(entryId, "Entries from this ID on stay"),
    max_age_ms: optional(timeout, "Entries that are younger stay"),
    acknowledged: optional(flag, "What a group has not read or not acknowledged stays"),
    approximate: withDefault(flag, true, "Whole nodes are removed only, which is cheaper: some more entries stay"),
  },
  ({ maxLen, minId, maxAgeMs, acknowledged, approximate }) => {
    const given: Trim[] = [];
    if (maxLen !== undefined) given.push({ by: "maxLen", maxLen, approximate });
    if (minId !== undefined) given.push({ by: "minId", minId, approximate });
    if (maxAgeMs !== undefined) given.push({ by: "maxAge", maxAgeMs, approximate });
    if (acknowledged === true) given.push({ by: "acknowledged", approximate });
    const [measure] = given;
    return measure !== undefined && given.length === 1
      ? right(measure)
      : left(`found ${given.length} measures, expected one: the longest stream, the lowest ID, an age, or acknowledged`);
  },
);
