import { type Either, isLeft, left, right } from "fp-ts/lib/Either.js";
import { isNode, LineCounter, parseDocument } from "yaml";
import { type Config, configSettings } from "./config.ts";
import { expandEnv } from "./expandEnv.ts";
import { messageOf, type Path, pathOf, pathText } from "./problem.ts";

/** One thing wrong with a configuration. */
export interface Problem {
  /** Such as `sinks[0].config.stream`; empty for the file as a whole. */
  readonly path: string;
  /** Where in the text, from 1, if it is there. */
  readonly line: number | undefined;
  readonly column: number | undefined;
  /** What was found and what was expected; without passwords. */
  readonly message: string;
}

/** All that is wrong with a configuration. */
export interface ConfigInvalid {
  readonly _tag: "ConfigInvalid";
  readonly problems: readonly Problem[];
}

/**
 * Reads a configuration in YAML, with `${NAME}` taken from `env`, or tells all that is wrong with it.
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
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });

  function at(offset: number | undefined): Pick<Problem, "line" | "column"> {
    if (offset === undefined) return { line: undefined, column: undefined };
    const { line, col } = lineCounter.linePos(offset);
    return { line, column: col };
  }

  /** Where the setting stands, or the nearest thing around it. */
  function locate(path: Path): Pick<Problem, "line" | "column"> {
    for (let length = path.length; length > 0; length -= 1) {
      const node = document.getIn(path.slice(0, length), true);
      if (isNode(node)) return at(node.range?.[0]);
    }
    return at(undefined);
  }

  function problem(path: Path, message: string): Problem {
    return { path: pathText(path), message, ...locate(path) };
  }

  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => ({
      path: "",
      message: `not YAML: ${error.message}`,
      ...at(error.pos[0]),
    }));
    return left({ _tag: "ConfigInvalid", problems });
  }
  const { value, missing } = expandEnv(document.toJS(), env);
  const unset = missing.map(({ path, name }) => problem(path, `the environment variable ${name} is not set`));
  const decoded = configSettings.decode(value);
  if (isLeft(decoded)) {
    const wrong = decoded.left
      .map((error) => problem(pathOf(error), messageOf(error)))
      .filter(({ path }) => unset.every((other) => other.path !== path));
    return left({ _tag: "ConfigInvalid", problems: [...unset, ...wrong] });
  }
  return unset.length > 0 ? left({ _tag: "ConfigInvalid", problems: unset }) : right(decoded.right);
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
