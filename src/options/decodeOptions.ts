import { isLeft } from "fp-ts/lib/Either.js";
import type * as t from "io-ts";
import { rxaddError } from "../errors/rxaddError.ts";
import { kindOf } from "../errors/thrown.ts";
import { nearest } from "./nearest.ts";
import { messageOf, pathOf, pathText } from "./problem.ts";
import { Settings } from "./settings.ts";

interface Named<A> extends t.Decoder<unknown, A> {
  readonly names: readonly string[];
}

/**
 * Checks the options of a function of ours, and fills in the defaults; `others` names those that are no setting, such as an
 * observer, which are left out. Throws `ConfigurationInvalid` with all that is wrong.
 */
export function decodeOptions<A>(
  settings: Named<A>,
  name: string,
  options: object,
  others: readonly string[],
): A {
  if (typeof options !== "object" || options === null)
    throw rxaddError(
      "ConfigurationInvalid",
      `${name}: found ${kindOf(options)}, expected an object with options`,
    );
  const entries = Object.entries(options);
  const decoded = settings.decode(
    Object.fromEntries(entries.filter(([key]) => settings.names.includes(key))),
  );
  const problems = isLeft(decoded)
    ? decoded.left.map((error) => {
        // A problem of several settings together stands at none of them.
        const path = pathText(pathOf(error));
        return path === "" ? messageOf(error) : `${path}: ${messageOf(error)}`;
      })
    : [];
  const known = [...settings.names, ...others];
  for (const [key, value] of entries) {
    if (value !== undefined && !known.includes(key))
      problems.push(`${pathText([key])}: no such option; did you mean ${nearest(key, known)}?`);
  }
  const server = known.includes("connection") ? serverProblem(options) : undefined;
  if (server !== undefined) problems.push(server);
  if (!isLeft(decoded) && problems.length === 0) return decoded.right;
  throw rxaddError("ConfigurationInvalid", `${name}: ${problems.join("; ")}`);
}

const none = new Settings({}).inProgram();

/** Refuses options that a function of ours does not have; the compiler keeps its list of them complete. */
export function refuseUnknown<O extends object>(
  name: string,
  options: O,
  names: Readonly<Record<keyof O, true>>,
): void {
  decodeOptions(none, name, options, Object.keys(names));
}

/** What is wrong with how a server is named; undefined: nothing. */
function serverProblem(options: object): string | undefined {
  const { uri, connection }: { readonly uri?: unknown; readonly connection?: unknown } = options;
  if ("uri" in options && connection !== undefined)
    return "uri: found a connection as well, expected one of them";
  return uri === undefined && connection === undefined
    ? "uri: found nothing, expected a uri, or a connection of ioredis"
    : undefined;
}

/** The names of a type's options, also of those that only one of several has. */
export type NamesOf<Options> = Options extends unknown ? keyof Options : never;
