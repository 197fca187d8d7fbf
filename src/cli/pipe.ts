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
import { fieldTemplates, isStreamTemplate, streamTemplate } from "../streamTemplate.ts";
import { type MonitoringPorts, monitoring } from "./monitoring.ts";
import { idsOf, oneSink } from "./oneSink.ts";
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

type SinkConfig = Config["sinks"][0]["config"];

/** Stream and key of a line are those of its event. */
function ofLines({ stream, key }: SinkConfig) {
  return {
    stream: ofLine(stream),
    key: key === undefined ? ({ event }: NdjsonLine) => String(event.key ?? "") : ofLine(key),
  };
}

/** The line as it stands, unless another envelope is asked for, and the fields of its event. */
function accessOf({ envelope, fields }: SinkConfig): EventAccess<NdjsonLine, StandardPosition> {
  const encode = encoderOf(envelope);
  const toFields = fieldTemplates(fields ?? {});
  return {
    ...ndjsonAccess,
    ...(envelope !== "native" && { encode: ({ event }) => encode(event) }),
    ...(fields && { fields: ({ event }) => toFields(event) }),
  };
}

/** Publishes NDJSON lines from a file or standard input; goes on where the stream ends. */
export function pipeLines(
  input: string | undefined,
  { pipeline, sinks, commit }: Config,
  ports: MonitoringPorts,
  stop$: Observable<unknown>,
): Observable<Checkpoint<StandardPosition>> {
  const { of, whileServing } = monitoring(pipeline, idsOf(sinks), ports);
  const source =
    input === undefined
      ? ndjson(readStdinOnce(), "standard input")
      : ndjson(() => createReadStream(input), input);
  const lineSinks = sinks.map(({ config }) =>
    redisSink({ ...config, ...ofLines(config), event: accessOf(config), ...of(config.id) }),
  );
  return whileServing(
    lineSinks,
    replicate({ source: until(source, stop$), sink: oneSink(lineSinks, commit) }),
  );
}
