import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import type { Observable } from "rxjs";
import type { Checkpoint } from "../checkpoint.ts";
import type { Config } from "../config/config.ts";
import { encoderOf } from "../envelope.ts";
import type { StandardPosition } from "../positions.ts";
import { redisSink } from "../redisSink.ts";
import { replicate } from "../replicate.ts";
import { sinkError } from "../sinkError.ts";
import type { EventAccess } from "../sinkOptions.ts";
import { type NdjsonLine, ndjson, ndjsonAccess } from "../sources/ndjson.ts";
import { isStreamTemplate, streamTemplate } from "../streamTemplate.ts";
import { monitoring } from "./monitoring.ts";
import { until } from "./until.ts";

/** Standard input, which can be read once. */
function readStdinOnce(): () => Readable {
  let isRead = false;
  return () => {
    if (isRead) {
      throw sinkError(
        "SourceCannotRewind",
        "Redis has lost acknowledged batches, and standard input cannot be read again: start again with the same input, or use --input FILE",
      );
    }
    isRead = true;
    return process.stdin;
  };
}

/** A template speaks of the event in the line. */
function ofLine(text: string): string | ((line: NdjsonLine) => string) {
  if (!isStreamTemplate(text)) return text;
  const fill = streamTemplate(text);
  return ({ event }) => fill(event);
}

/** The line as it stands, unless another envelope is asked for. */
function accessOf({ envelope }: Config["sinks"][0]["config"]): EventAccess<NdjsonLine, StandardPosition> {
  if (envelope === "native") return ndjsonAccess;
  const encode = encoderOf(envelope);
  return { ...ndjsonAccess, encode: ({ event }) => encode(event) };
}

/** Publishes NDJSON lines from a file or standard input; goes on where the stream ends. */
export function pipeLines(
  input: string | undefined,
  { pipeline, sinks }: Config,
  metricsPort: number | undefined,
  stop$: Observable<unknown>,
): Observable<Checkpoint<StandardPosition>> {
  const [{ config }] = sinks;
  const { status, metrics, whileServing } = monitoring(pipeline, config.id, metricsPort);
  const source =
    input === undefined
      ? ndjson(readStdinOnce(), "standard input")
      : ndjson(() => createReadStream(input), input);
  const stream = ofLine(config.stream);
  const key =
    config.key === undefined ? ({ event }: NdjsonLine) => String(event.key ?? "") : ofLine(config.key);
  const sink = redisSink({ ...config, stream, key, event: accessOf(config), status, metrics });
  return whileServing(replicate({ source: until(source, stop$), sink }));
}
