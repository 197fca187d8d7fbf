import * as t from "io-ts";
import { oneOrMore, sinkObserver } from "../options/callbacks.ts";
import {
  count,
  duration,
  flag,
  formerly,
  looked,
  oneOf,
  seconds,
  template,
  templatesByName,
  text,
  timeout,
  wholeNumber,
  wholeTimeout,
} from "../options/codecs.ts";
import { decodeOptions } from "../options/decodeOptions.ts";
import { retry } from "../options/retryOptions.ts";
import { group, optional, required, Settings, withDefault } from "../options/settings.ts";
import { reachSettings, redisUri } from "../redis/connect/serverOptions.ts";
import { connectionSetting } from "../redis/publish/fakeServer.ts";
import { sinkEnvelopes } from "./encode/envelope.ts";
import { deadLettersProblem } from "./sameStream.ts";
import { trim, trimOrFunction } from "./trim.ts";
import { writersProblem } from "./writers.ts";

/** The settings of a sink that have a default, the same in a file and in a program. */
export const sinkTuning = {
  required: withDefault(flag, true, "Gates checkpoints"),
  writers: optional(
    oneOf("one", "many"),
    "`one`: one writer at a time has the sink id; `many`: each has a lane of its own, for events without positions; without it the first event decides",
  ),
  adopt: withDefault(
    flag,
    false,
    "Begin although the producer state is gone while the streams stand; for one start, as it may double events",
  ),
  batch: group(
    {
      max_events: withDefault(count, 500, "Most events in a batch; at most a quarter of the buffer is"),
      max_bytes: withDefault(count, 1_048_576, "Most bytes in a batch; likewise"),
      linger_ms: withDefault(duration, 0, "How long a batch waits for more events; 0 adapts to the load"),
    },
    "When a batch is published",
  ),
  buffer: group(
    {
      max_events: withDefault(count, 20_000, "Most events in memory; the source is paused at half"),
      max_bytes: withDefault(count, 67_108_864, "Most bytes in memory; the source is paused at half"),
      overflow: withDefault(
        oneOf("error", "dropOldest", "dropNewest"),
        "error",
        "What follows when a source goes on all the same: the sink ends, or drops events, for `writers: many` alone",
      ),
    },
    "What may wait in memory",
  ),
  retry,
  window: withDefault(
    count,
    4,
    "Most batches in flight, in a Cluster per stream; with `publish: multi` always 1",
  ),
  publish: withDefault(
    formerly(oneOf("script", "multi"), { pipeline: "multi" }),
    "script",
    "`script`: one script call a batch; `multi`: for servers where scripts are forbidden",
  ),
  max_event_bytes: withDefault(count, 67_108_864, "A larger event is a dead letter, or an error"),
  dead_letters: optional(
    new Settings({
      stream: required(
        text,
        "Stream key; in a Cluster in the slot of the sink's stream, as in `{orders}.dead`",
      ),
    }),
    "Where events go that cannot be encoded, are too large or have no stream; without it they are errors",
  ),
  envelope: withDefault(
    oneOf(...sinkEnvelopes),
    "native",
    "What the field `event` holds: the event as it is, as Debezium or as a CloudEvent has it, or the row alone; `flat`: the row's columns are the fields of the entry",
  ),
  fields: optional(templatesByName, "Further fields of each entry, by name, as templates such as `${id}`"),
  partitions: optional(
    count,
    "Spreads the stream over so many: `name:{0}`, `name:{1}` and so on, by `key`, whose events keep their order",
  ),
  trim: optional(trim, "What is removed of the stream after each batch"),
  durability: optional(
    new Settings({
      replicas: required(wholeNumber, "How many replicas have to have a batch before it is safe"),
      timeout_ms: withDefault(
        wholeTimeout,
        2000,
        "How long one look waits for them; then another one is taken",
      ),
      aof: withDefault(flag, false, "Master and replicas have it on disk, too (Redis 7.2 or later)"),
    }),
    "When a batch is safe, beyond the master's own answer",
  ),
  ...reachSettings,
  batch_timeout_secs: {
    ...optional(
      seconds,
      "How long a batch may wait for its acknowledgement, retries included; then the sink ends",
    ),
    inProgram: timeout,
  },
  close_within_secs: {
    ...optional(
      seconds,
      "How long what is left may take when the source has ended, as after Ctrl-C or SIGTERM; then the sink ends",
    ),
    inProgram: timeout,
  },
};

/** The setting `key` in a file. */
export const keySetting = optional(
  template,
  "What an event is about, as a template such as `${after.id}`; for `partitions`",
);

/** A text or template, or, in a program only, a function of the event. */
const textOrFunction = new t.Type<unknown, unknown, unknown>(
  "a text or a function of the event",
  (_value): _value is unknown => true,
  (value, context) => {
    if (typeof value === "function") return t.success(value);
    return text.is(value) ? template.validate(value, context) : t.failure(value, context);
  },
  t.identity,
);

const eventFunction = looked(
  "a function of the event",
  (value): value is object => typeof value === "function",
);

const ofEvent = optional(eventFunction, "");

/** What is read from an event: a name that is wrong would read nothing, such as no position. */
const eventAccess = new Settings({
  id: ofEvent,
  position: ofEvent,
  transaction: ofEvent,
  time: ofEvent,
  encode: ofEvent,
  fields: ofEvent,
  content: ofEvent,
});

/** What is wrong with two answers to what an entry holds; undefined: nothing. */
function contentProblem({
  envelope,
  fields,
  event: { encode, content } = {},
}: {
  readonly envelope: unknown;
  readonly fields: unknown;
  readonly event: { readonly encode?: unknown; readonly content?: unknown } | undefined;
}): string | undefined {
  const asWell = (name: string, by: string) =>
    `${name}: found ${by} as well, expected one of them: the function says by itself what an entry holds`;
  if (envelope !== undefined && content !== undefined) return asWell("envelope", "event.content");
  if (envelope !== undefined && encode !== undefined) return asWell("envelope", "event.encode");
  return fields !== undefined && content !== undefined ? asWell("fields", "event.content") : undefined;
}

const sinkOptions = new Settings(
  {
    id: required(text, "Sink identifier"),
    uri: optional(redisUri, "Redis connection URI"),
    connection: connectionSetting,
    stream: required(textOrFunction, "Redis stream key"),
    key: optional(textOrFunction, keySetting.meaning),
    event: optional(eventAccess, "What is read from an event"),
    observers: optional(oneOrMore(sinkObserver), "Told what the sink does"),
    ...sinkTuning,
    trim: optional(trimOrFunction, sinkTuning.trim.meaning),
    envelope: optional(sinkTuning.envelope.codec, sinkTuning.envelope.meaning),
  },
  // Where a function will lead, nobody knows.
  ({ stream, ...others }) =>
    (typeof stream === "string" ? deadLettersProblem({ ...others, stream }) : undefined) ??
    writersProblem(others) ??
    contentProblem(others),
).inProgram();

/** The settings of a sink that have a default, filled in. */
export type SinkTuning = Omit<
  t.TypeOf<typeof sinkOptions>,
  "id" | "uri" | "connection" | "stream" | "key" | "event" | "observers"
>;

/** Checks the options of a `redisSink`, of which `others` are no settings, and fills in the defaults. */
export const decodeTuning = (options: object, others: readonly string[]): SinkTuning =>
  decodeOptions(sinkOptions, "redisSink", options, others);
