import * as t from "io-ts";
import { rxaddError } from "../errors/rxaddError.ts";
import { messageOf } from "../errors/thrown.ts";
import { entryId, flag, redisCount, wholeTimeout } from "../options/codecs.ts";
import { decodeOptions } from "../options/decodeOptions.ts";
import { optional, Settings, withDefault } from "../options/settings.ts";
import type { Trim, TrimOptions } from "../redis/publish/trimming.ts";

/** By exactly one of four measures. */
const settings = new Settings(
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

/** What is given is one of the measures, as the check has found. */
type Codec = t.Decoder<unknown, TrimOptions> & Pick<typeof settings, "names">;

/** What of the stream is removed after each batch, in a file. */
export const trim: Codec = settings as Codec;

const inProgram = settings.inProgram() as Codec;

/** The same in a program, or a function of the stream that says it, whose answers are checked each time. */
export const trimOrFunction = new t.Type<Trim, unknown, unknown>(
  "how to trim, or a function of the stream that says it",
  (_value): _value is Trim => false,
  (value, context) =>
    typeof value === "function"
      ? t.success(answers(value as (stream: string) => unknown))
      : inProgram.validate(value, context),
  t.identity,
);

function answers(ask: (stream: string) => unknown): (stream: string) => TrimOptions | undefined {
  return (stream) => {
    let found: unknown;
    try {
      found = ask(stream);
      // Read once: to look at it may run code of the user's.
      if (typeof found === "object" && found !== null) found = { ...found };
    } catch (error) {
      throw rxaddError("ConfigurationInvalid", `trim of ${stream} failed: ${messageOf(error)}`, error);
    }
    // In JSON there is nothing but null for what is not there.
    if (found === undefined || found === null) return undefined;
    return decodeOptions(inProgram, `trim of ${stream}`, found, []);
  };
}
