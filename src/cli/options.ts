import { readFileSync } from "node:fs";
import { isLeft } from "fp-ts/lib/Either.js";
import type { Config } from "../config/config.ts";
import { formatProblems, loadConfig } from "../config/loadConfig.ts";
import { UsageError } from "./exitCode.ts";

/** The sink of a command, from `--config` or from `--id`, `--uri` and `--stream`. */
export interface SinkFlags {
  readonly config?: string;
  readonly id?: string;
  readonly uri?: string;
  readonly stream?: string;
}

function decode(text: string, name: string): Config {
  const config = loadConfig(text, process.env);
  if (isLeft(config)) throw new UsageError(formatProblems(config.left, name));
  return config.right;
}

/** Reads a configuration file, or fails with all that is wrong with it. */
export function configOf(file: string): Config {
  return decode(readFileSync(file, "utf8"), file);
}

/** The configuration that the flags make: from a file, or as if the flags stood in one. */
export function configFrom({ config, id, uri, stream }: SinkFlags): Config {
  const flags = { id, uri, stream };
  if (config === undefined) {
    return decode(
      JSON.stringify({ sinks: [{ type: "redis", config: flags }] }),
      "the command line (or use --config FILE)",
    );
  }
  const both = Object.entries(flags).find(([, value]) => value !== undefined);
  if (both !== undefined) {
    throw new UsageError(
      `found both --config and --${both[0]}, expected one of them: the file names the sink`,
    );
  }
  return configOf(config);
}
