import { readFileSync } from "node:fs";
import { chain, type Either, tryCatch } from "fp-ts/lib/Either.js";
import { pipe } from "fp-ts/lib/function.js";
import type { Config } from "./config.ts";
import { type ConfigInvalid, loadConfig } from "./loadConfig.ts";

/**
 * Reads a configuration file as {@link loadConfig} reads a text; a file that cannot be read is a
 * problem, too.
 *
 * @example
 * ```ts
 * const config = loadConfigFile("sinks.yaml", process.env);
 * if (isLeft(config)) console.error(formatProblems(config.left, "sinks.yaml"));
 * ```
 */
export function loadConfigFile(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Either<ConfigInvalid, Config> {
  return pipe(
    tryCatch(() => readFileSync(file, "utf8"), unreadable),
    chain((text) => loadConfig(text, env)),
  );
}

function unreadable(error: unknown): ConfigInvalid {
  const message = `cannot be read: ${error instanceof Error ? error.message : error}`;
  return { _tag: "ConfigInvalid", problems: [{ path: "", line: undefined, column: undefined, message }] };
}
