import { isLeft } from "fp-ts/lib/Either.js";
import type * as t from "io-ts";
import { sinkError } from "../sinkError.ts";
import { messageOf, pathOf, pathText } from "./problem.ts";

interface Named<A> extends t.Decoder<unknown, A> {
  readonly names: readonly string[];
}

/**
 * Checks the options of a function of ours that reaches Redis, and fills in the defaults; what is no
 * setting, such as an observer, is left out. Throws `ConfigurationInvalid` with all that is wrong.
 */
export function decodeOptions<A>(settings: Named<A>, name: string, options: object): A {
  const given = Object.entries(options).filter(([key]) => settings.names.includes(key));
  const decoded = settings.decode(Object.fromEntries(given));
  const problems = isLeft(decoded)
    ? decoded.left.map((error) => `${pathText(pathOf(error))}: ${messageOf(error)}`)
    : [];
  if (!("uri" in options) && !("connection" in options)) {
    problems.push("uri: found nothing, expected a uri, or a connection of ioredis");
  }
  if (!isLeft(decoded) && problems.length === 0) return decoded.right;
  throw sinkError("ConfigurationInvalid", `${name}: ${problems.join("; ")}`);
}
