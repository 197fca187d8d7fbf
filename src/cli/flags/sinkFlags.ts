import { isLeft } from "fp-ts/lib/Either.js";
import type { Config } from "../../config/config.ts";
import { formatProblems, loadConfig, type Pipelines } from "../../config/loadConfig.ts";
import { loadConfigFile } from "../../config/loadConfigFile.ts";
import type { Problem } from "../../options/problem.ts";
import { UsageError } from "../terminal/exitCode.ts";
import type { Io } from "../terminal/io.ts";

/** The sink of a command, from `--config` or from `--id`, `--uri` and `--stream`. */
export interface SinkFlags {
  readonly config?: string;
  readonly id?: string;
  readonly uri?: string;
  readonly stream?: string;
}

/** Reads the pipelines of a file or folder, or fails with all that is wrong with them. */
export function pipelinesOf(path: string, env: Io["env"]): Pipelines {
  const pipelines = loadConfigFile(path, env);
  if (isLeft(pipelines)) throw new UsageError(formatProblems(pipelines.left, path));
  return pipelines.right;
}

/** The same, where there has to be one pipeline. */
export function configOf(path: string, env: Io["env"]): Config {
  const [first, ...others] = pipelinesOf(path, env);
  if (others.length === 0) return first;
  const names = [first, ...others].map(({ pipeline }) => pipeline).join(", ");
  throw new UsageError(
    `${path}: found the pipelines ${names}, expected one: rxadd replicate and rxadd check take several`,
  );
}

/** What a flag says beside a file: it is for one start. */
export interface OnceFlags {
  readonly adopt?: boolean;
}

/** A configuration with what is for one start. */
export function once(config: Config, { adopt = false }: OnceFlags): Config {
  const [first, ...others] = config.sinks.map((sink) => ({
    ...sink,
    config: { ...sink.config, adopt: adopt || sink.config.adopt },
  }));
  return first === undefined ? config : { ...config, sinks: [first, ...others] };
}

/** The configuration that the flags make: from a file, or as if the flags stood in one, with the URI of the environment. */
export function configFrom({ config: file, id, uri, stream }: SinkFlags, env: Io["env"]): Config {
  const flags = { id, uri, stream };
  if (file !== undefined) {
    const [extra] = Object.entries(flags).find(([, value]) => value !== undefined) ?? [];
    if (extra === undefined) return configOf(file, env);
    throw new UsageError(`found both --config and --${extra}, expected one of them: the file names the sink`);
  }
  const sink = { ...flags, uri: uri ?? "${REDIS_URI}" };
  const config = loadConfig(JSON.stringify({ sinks: [{ type: "redis", config: sink }] }), env);
  if (isLeft(config)) throw new UsageError(config.left.problems.map(flagProblem).join("\n"));
  const [only] = config.right;
  return only;
}

function flagProblem({ path, message }: Problem): string {
  const flag = path.replace("sinks[0].config.", "--");
  const advice =
    flag === "--uri" ? "give --uri, set REDIS_URI, or use --config FILE" : "or use --config FILE";
  return `${flag}: ${message}; ${advice}`;
}
