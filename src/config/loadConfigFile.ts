import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { separate } from "fp-ts/lib/Array.js";
import { chain, type Either, isLeft, map, mapLeft, right, tryCatch } from "fp-ts/lib/Either.js";
import { pipe } from "fp-ts/lib/function.js";
import { messageOf } from "../errors/thrown.ts";
import {
  type ConfigInvalid,
  type FileProblem,
  invalid,
  type Pipelines,
  type ReadPipeline,
  readPipelines,
  together,
} from "./loadConfig.ts";

/**
 * Reads a configuration file as {@link loadConfig} reads a text, or all files of a folder that end in `.yaml` or `.yml`, in the
 * order of their names; what cannot be read is a problem, too.
 *
 * @example
 * ```ts
 * const pipelines = loadConfigFile("pipelines", process.env);
 * if (isLeft(pipelines)) console.error(formatProblems(pipelines.left, "pipelines"));
 * ```
 */
export function loadConfigFile(
  path: string,
  env: Readonly<Record<string, string | undefined>>,
): Either<ConfigInvalid, Pipelines> {
  return pipe(
    filesOf(path),
    chain((files) => {
      const { left: wrong, right: read } = separate(files.map((file) => readFile(file, env)));
      return wrong.length > 0 ? invalid(wrong.flatMap(({ problems }) => problems)) : right(read.flat());
    }),
    chain(together),
  );
}

/** The file, or the files of a folder. */
function filesOf(path: string): Either<ConfigInvalid, readonly string[]> {
  const found = tryCatch(
    () => (statSync(path).isDirectory() ? readdirSync(path) : undefined),
    (error) => unreadable(path, error),
  );
  if (isLeft(found)) return found;
  if (found.right === undefined) return right([path]);
  // A ConfigMap of Kubernetes has hidden ones beside.
  const names = found.right.filter((name) => /^[^.].*\.ya?ml$/.test(name)).sort();
  return names.length > 0
    ? right(names.map((name) => join(path, name)))
    : invalid([problem(path, "found a folder, expected a file that ends in .yaml or .yml in it")]);
}

function readFile(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Either<ConfigInvalid, readonly ReadPipeline[]> {
  const text = tryCatch(
    () => readFileSync(file, "utf8"),
    (error) => unreadable(file, error),
  );
  if (isLeft(text)) return text;
  return pipe(
    readPipelines(text.right, env),
    mapLeft(({ _tag, problems }) => ({ _tag, problems: problems.map((found) => ({ ...found, file })) })),
    map((read) =>
      read.map(({ config, problem }) => ({
        config,
        problem: (message: string) => ({ ...problem(message), file }),
      })),
    ),
  );
}

function unreadable(file: string, error: unknown): ConfigInvalid {
  return { _tag: "ConfigInvalid", problems: [problem(file, `cannot be read: ${messageOf(error)}`)] };
}

function problem(file: string, message: string): FileProblem {
  return { path: "", line: undefined, column: undefined, message, file };
}
