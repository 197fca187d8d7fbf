import { defer, from, type Observable, switchMap, takeUntil } from "rxjs";
import type { Config } from "../../config/config.ts";
import type { EventAccess } from "../../event/eventAccess.ts";
import type { StandardPosition } from "../../event/positions.ts";
import { isStreamTemplate } from "../../options/codecs.ts";
import { replicateUntil } from "../../pipeline/until.ts";
import { encoderOf } from "../../sink/encode/envelope.ts";
import { columnsOf } from "../../sink/encode/flat.ts";
import { fieldTemplates, streamTemplate, textTemplate } from "../../sink/encode/template.ts";
import { redisSink } from "../../sink/redisSink.ts";
import { type NdjsonLine, ndjson, ndjsonAccess } from "../../sources/ndjson/ndjson.ts";
import type { SinkObserver } from "../../telemetry/sinkObserver.ts";
import type { Pipeline } from "../configured/runPipelines.ts";
import { oneSink } from "../configured/sinks.ts";
import { fileInput, standardInput } from "../terminal/input.ts";
import type { Terminal } from "../terminal/terminal.ts";

/** A template speaks of the event in the line. */
function ofLine(text: string, template: typeof textTemplate): string | ((line: NdjsonLine) => string) {
  if (!isStreamTemplate(text)) return text;
  const fill = template(text);
  return ({ event }) => fill(event);
}

type SinkConfig = Config["sinks"][0]["config"];

/** Stream and key of a line are those of its event. */
function ofLines({ stream, key }: SinkConfig) {
  return {
    stream: ofLine(stream, streamTemplate),
    key: key === undefined ? ({ event }: NdjsonLine) => String(event.key ?? "") : ofLine(key, textTemplate),
  };
}

/** The line as it stands, unless another envelope is asked for, and the fields of its event. */
function accessOf({ envelope, fields }: SinkConfig): EventAccess<NdjsonLine, StandardPosition> {
  const toFields = fieldTemplates(fields ?? {});
  if (envelope === "flat") {
    const content = ({ event }: NdjsonLine) => [
      ...columnsOf(event),
      ...Object.entries(toFields(event)).flat(),
    ];
    return { ...ndjsonAccess, content };
  }
  const encode = encoderOf(envelope);
  return {
    ...ndjsonAccess,
    ...(envelope !== "native" && { encode: ({ event }) => encode(event) }),
    ...(fields && { fields: ({ event }) => toFields(event) }),
  };
}

/** Publishes NDJSON lines from a file or standard input; goes on where the stream ends. */
export function linesPipeline(
  { stdin }: Terminal,
  input: string | undefined,
  { sinks, commit }: Config,
  observersOf: (sink: string) => readonly SinkObserver[],
  stop$: Observable<unknown>,
): Pipeline {
  const text = input === undefined ? standardInput(stdin) : fileInput(input);
  const source = ndjson(text.open, text.name);
  const lineSinks = sinks.map(({ config }) =>
    redisSink({
      ...{ ...config, envelope: undefined, fields: undefined },
      ...ofLines(config),
      event: accessOf(config),
      observers: observersOf(config.id),
    }),
  );
  const work$ = defer(() => from(text.prepare())).pipe(
    takeUntil(stop$),
    switchMap(() => replicateUntil(stop$, { source, sink: oneSink(lineSinks, commit) })),
  );
  return { sinks: lineSinks, work$, input: text };
}
