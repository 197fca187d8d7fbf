import { type Either, isLeft, left, right } from "fp-ts/lib/Either.js";
import type * as t from "io-ts";
import { PathReporter } from "io-ts/lib/PathReporter.js";

/** An entry's fields by their names, or why there is no event in them, with all reasons. */
export type DecodeEntry<E> = (fields: Readonly<Record<string, string>>) => Either<string, E>;

/** Fields and values, alternating, as an object. */
export function fieldsOf(pairs: readonly string[]): Readonly<Record<string, string>> {
  // As nearly all are; a computed name takes ten times as long.
  if (pairs.length === 2 && pairs[0] === "event") return { event: pairs[1] ?? "" };
  const fields: Record<string, string> = {};
  for (let index = 0; index + 1 < pairs.length; index += 2)
    fields[pairs[index] ?? ""] = pairs[index + 1] ?? "";
  return fields;
}

/**
 * Makes the function that reads an entry: the JSON in its field `event`, or where there is none all of
 * its fields. Without a codec it is believed to be an E.
 */
export function decodeEntry<E>(codec?: t.Decoder<unknown, E>): DecodeEntry<E> {
  return (fields) => {
    let value: unknown = fields;
    if (fields.event !== undefined) {
      try {
        value = JSON.parse(fields.event);
      } catch (error) {
        return left(`event: found no JSON: ${error instanceof Error ? error.message : error}`);
      }
    }
    if (codec === undefined) return right(value as E);
    const decoded = codec.decode(value);
    return isLeft(decoded) ? left(PathReporter.report(decoded).join("; ")) : decoded;
  };
}
