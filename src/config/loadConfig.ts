import { type Either, isLeft, left, right } from "fp-ts/lib/Either.js";
import { messageOf, type Problem, pathOf } from "../options/problem.ts";
import { type Config, configSettings } from "./config.ts";
import { expandEnv } from "./expandEnv.ts";
import { readYaml } from "./readYaml.ts";

export type { Problem } from "../options/problem.ts";

/** All that is wrong with a configuration. */
export interface ConfigInvalid {
  readonly _tag: "ConfigInvalid";
  readonly problems: readonly Problem[];
}

/**
 * Reads a configuration in YAML, with `${NAME}` taken from `env`, or tells all that is wrong with it,
 * from top to bottom. It never throws.
 *
 * @example
 * ```ts
 * const config = loadConfig(readFileSync("sinks.yaml", "utf8"), process.env);
 * if (isLeft(config)) console.error(formatProblems(config.left));
 * ```
 */
export function loadConfig(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
): Either<ConfigInvalid, Config> {
  const yaml = readYaml(text);
  if (isLeft(yaml)) return invalid(yaml.left);
  const { value: given, problem } = yaml.right;

  const { value, missing } = expandEnv(given, env);
  const unset = missing.map(({ path, name }) => problem(path, `the environment variable ${name} is not set`));
  const decoded = configSettings.decode(value);
  const wrong = isLeft(decoded)
    ? decoded.left
        .map((error) => problem(pathOf(error), messageOf(error)))
        .filter(({ path }) => unset.every((other) => other.path !== path))
    : [];
  return isLeft(decoded) || unset.length > 0 ? invalid([...unset, ...wrong]) : right(decoded.right);
}

function invalid(problems: readonly Problem[]): Either<ConfigInvalid, never> {
  return left({ _tag: "ConfigInvalid", problems: problems.toSorted(byPlace) });
}

function byPlace(a: Problem, b: Problem): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}

/** One line a problem: where, which setting, what. */
export function formatProblems({ problems }: ConfigInvalid, file = "configuration"): string {
  return problems
    .map(({ path, line, column, message }) => {
      const where = line === undefined ? file : `${file}:${line}:${column}`;
      return path === "" ? `${where}: ${message}` : `${where}: ${path}: ${message}`;
    })
    .join("\n");
}
