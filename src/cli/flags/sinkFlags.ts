import { isLeft } from "fp-ts/lib/Either.js";
import type { Config } from "../../config/config.ts";
import { formatProblems, loadConfig, type Problem } from "../../config/loadConfig.ts";
import { loadConfigFile } from "../../config/loadConfigFile.ts";
import { UsageError } from "../terminal/exitCode.ts";
import type { Io } from "../terminal/io.ts";

/** The sink of a command, from `--config` or from `--id`, `--uri` and `--stream`. */
export interface SinkFlags {
  readonly config?: string;
  readonly id?: string;
  readonly uri?: string;
  readonly stream?: string;
}

/** Reads a configuration file, or fails with all that is wrong with it. */
export function configOf(file: string, env: Io["env"]): Config {
  const config = loadConfigFile(file, env);
  if (isLeft(config)) throw new UsageError(formatProblems(config.left, file));
  return config.right;
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
  return config.right;
}

function flagProblem({ path, message }: Problem): string {
  const flag = path.replace("sinks[0].config.", "--");
  const advice =
    flag === "--uri" ? "give --uri, set REDIS_URI, or use --config FILE" : "or use --config FILE";
  return `${flag}: ${message}; ${advice}`;
}
