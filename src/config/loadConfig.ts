import { separate } from "fp-ts/lib/Array.js";
import { chain, type Either, isLeft, left, map, mapLeft, right } from "fp-ts/lib/Either.js";
import { pipe } from "fp-ts/lib/function.js";
import { messageOf, type Path, type Problem, pathOf } from "../options/problem.ts";
import type { Config } from "./config.ts";
import { pipelineSettings } from "./deltaForge.ts";
import { expandEnv } from "./expandEnv.ts";
import { readYaml, type Yaml } from "./readYaml.ts";
import { conflicts } from "./sideBySide.ts";

/** Pipelines that run side by side. */
export type Pipelines = readonly [Config, ...Config[]];

/** One thing wrong with a configuration, and in which file of a folder. */
export interface FileProblem extends Problem {
  readonly file?: string;
}

/** All that is wrong with a configuration. */
export interface ConfigInvalid {
  readonly _tag: "ConfigInvalid";
  readonly problems: readonly FileProblem[];
}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Reads pipelines in YAML, documents or lists of them, with `${NAME}` taken from `env`, or tells all that is wrong with them,
 * from top to bottom. It never throws.
 *
 * @example
 * ```ts
 * const pipelines = loadConfig(readFileSync("sinks.yaml", "utf8"), process.env);
 * if (isLeft(pipelines)) console.error(formatProblems(pipelines.left));
 * ```
 */
export function loadConfig(text: string, env: Env): Either<ConfigInvalid, Pipelines> {
  return pipe(readPipelines(text, env), chain(together));
}

/** A pipeline, and how what is wrong with it is placed. */
export interface ReadPipeline {
  readonly config: Config;
  readonly problem: (message: string) => FileProblem;
}

/** Reads pipelines, each for itself. */
export function readPipelines(text: string, env: Env): Either<ConfigInvalid, readonly ReadPipeline[]> {
  const yaml = readYaml(text);
  if (isLeft(yaml)) return invalid(yaml.left.toSorted(byPlace));
  const { left: problems, right: read } = separate(yaml.right.map((document) => readDocument(document, env)));
  return problems.length > 0 ? invalid(problems.flat().toSorted(byPlace)) : right(read.flat());
}

function readDocument({ value: given, problem }: Yaml, env: Env): Either<Problem[], ReadPipeline[]> {
  const { value, missing } = expandEnv(given, env);
  const unset = missing.map(({ path, name }) => problem(path, `the environment variable ${name} is not set`));
  const isList = Array.isArray(value) && value.length > 0;
  const listed: readonly (readonly [Path, unknown])[] = isList
    ? value.map((one, index) => [[index], one])
    : [[[], value]];
  const { left: wrong, right: read } = separate(
    listed.map(([path, one]) =>
      pipe(
        pipelineSettings.decode(one),
        mapLeft((errors) => errors.map((error) => problem([...path, ...pathOf(error)], messageOf(error)))),
        map((config) => ({ config, problem: (message: string) => problem(path, message) })),
      ),
    ),
  );
  const others = wrong.flat().filter(({ path }) => unset.every((other) => other.path !== path));
  return unset.length + wrong.length > 0 ? left([...unset, ...others]) : right(read);
}

/** Pipelines that take nothing from each other, or what they would. */
export function together(read: readonly ReadPipeline[]): Either<ConfigInvalid, Pipelines> {
  const [first, ...others] = read.map(({ config }) => config);
  if (first === undefined) throw new TypeError("found no pipeline, expected those that were read");
  const problems = conflicts([first, ...others]).flatMap(
    ({ index, message }) => read[index]?.problem(message) ?? [],
  );
  return problems.length > 0 ? invalid(problems) : right([first, ...others]);
}

export function invalid(problems: readonly FileProblem[]): Either<ConfigInvalid, never> {
  return left({ _tag: "ConfigInvalid", problems });
}

function byPlace(a: Problem, b: Problem): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}

/** One line a problem: where, which setting, what. */
export function formatProblems({ problems }: ConfigInvalid, file = "configuration"): string {
  return problems
    .map(({ path, line, column, message, file: own = file }) => {
      const where = line === undefined ? own : `${own}:${line}:${column}`;
      return path === "" ? `${where}: ${message}` : `${where}: ${path}: ${message}`;
    })
    .join("\n");
}
