import type { StreamOptions } from "../../admin/index.ts";
import { expandEnv } from "../../config/expandEnv.ts";
import { isStreamTemplate } from "../../options/codecs.ts";
import { UsageError } from "../terminal/exitCode.ts";
import type { Io } from "../terminal/io.ts";
import { configOf } from "./sinkFlags.ts";

/** Which stream, and how to print what is found. */
export interface StreamsFlags {
  readonly config?: string | undefined;
  readonly uri?: string | undefined;
  readonly stream?: string | undefined;
  readonly json?: boolean;
}

/** The stream that the flags name; a configuration file says how to reach it, and may name it. */
export function streamAtFrom(flags: StreamsFlags, env: Io["env"]): StreamOptions {
  return flags.config === undefined ? fromFlags(flags, env) : fromFile(flags.config, flags, env);
}

function fromFlags({ uri = "${REDIS_URI}", stream }: StreamsFlags, env: Io["env"]): StreamOptions {
  const { value, missing } = expandEnv(uri, env);
  if (missing.length > 0) {
    const names = missing.map(({ name }) => name).join(", ");
    throw new UsageError(
      `--uri: the environment variable ${names} is not set; give --uri, set REDIS_URI, or use --config FILE`,
    );
  }
  if (stream === undefined) throw new UsageError("--stream: found nothing, expected a stream key");
  return { uri: `${value}`, stream };
}

function fromFile(file: string, { uri, stream: named }: StreamsFlags, env: Io["env"]): StreamOptions {
  if (uri !== undefined) {
    throw new UsageError("found both --config and --uri, expected one of them: the file says where Redis is");
  }
  const [{ config }] = configOf(file, env).sinks;
  const stream = named ?? config.stream;
  if (named === undefined && isStreamTemplate(stream)) {
    throw new UsageError(`--stream: found nothing, expected a stream key: ${file} has a template, ${stream}`);
  }
  const { tls, sentinel, connectTimeoutMs, sendTimeoutMs } = config;
  return { uri: config.uri, stream, tls, sentinel, connectTimeoutMs, sendTimeoutMs };
}
