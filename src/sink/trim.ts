import { entryId, flag, redisCount, wholeTimeout } from "../options/codecs.ts";
import { optional, Settings, withDefault } from "../options/settings.ts";

/** What of the stream is removed after each batch: by exactly one of four measures. */
export const trim = new Settings(
  {
    max_len: optional(redisCount, "So many entries stay"),
    min_id: optional(entryId, "Entries from this ID on stay"),
    max_age_ms: optional(wholeTimeout, "Entries that are younger stay"),
    acknowledged: optional(flag, "What a group has not read or not acknowledged stays"),
    approximate: withDefault(
      flag,
      true,
      "Removes whole nodes only, which is cheaper: some more entries stay",
    ),
  },
  ({ maxLen, minId, maxAgeMs, acknowledged }) => {
    const measures = [maxLen, minId, maxAgeMs, acknowledged === true ? true : undefined];
    const given = measures.filter((measure) => measure !== undefined).length;
    return given === 1
      ? undefined
      : `found ${given} measures, expected exactly one: the most entries, the lowest ID, the highest age, or acknowledged`;
  },
  {
    oneOf: [
      ...["max_len", "min_id", "max_age_ms"].map((name) => ({ required: [name] })),
      { required: ["acknowledged"], properties: { acknowledged: { const: true } } },
    ],
  },
);
