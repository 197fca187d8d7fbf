import * as t from "io-ts";
import { count, duration, flag, oneOf, postgresUri, redisUri, share, text, texts } from "./codecs.ts";
import { group, optional, required, Settings, withDefault } from "./settings.ts";

/** `sinks[].config` of a Redis sink. The first four are all that most need. */
export const redisSinkSettings = new Settings({
  id: required(text, "Sink identifier"),
  uri: required(redisUri, "Redis connection URI"),
  stream: required(text, "Redis stream key, or a template such as `cdc.${source.table}`"),
  required: withDefault(flag, true, "Gates checkpoints"),
  batch: group(
    {
      max_events: withDefault(count, 500, "Most events in a batch"),
      max_bytes: withDefault(count, 1_048_576, "Most bytes in a batch"),
      linger_ms: withDefault(duration, 0, "How long a batch waits for more events; 0 adapts to the load"),
    },
    "When a batch is published",
  ),
  buffer: group(
    {
      max_events: withDefault(count, 20_000, "Most events in memory; the source is paused at half"),
      max_bytes: withDefault(count, 67_108_864, "Most bytes in memory; the source is paused at half"),
    },
    "What may wait in memory",
  ),
  retry: group(
    {
      initial_ms: withDefault(duration, 100, "Delay before the first retry"),
      max_ms: withDefault(duration, 10_000, "Longest delay"),
      jitter: withDefault(share, 0.2, "How far a delay strays, as a share of it"),
    },
    "What happens when Redis does not take a batch",
  ),
  window: withDefault(count, 4, "Most batches in flight per stream"),
  publish: withDefault(
    oneOf("script", "pipeline"),
    "script",
    "`script`: one script call a batch; `pipeline`: for servers where scripts are forbidden",
  ),
  connect_timeout_ms: withDefault(duration, 10_000, "How long a connection may take to open"),
  send_timeout_ms: withDefault(duration, 10_000, "How long Redis may owe an answer"),
});

/** `source.config` of a PostgreSQL source. */
export const postgresSettings = new Settings({
  dsn: required(postgresUri, "PostgreSQL connection URI"),
  slot: withDefault(text, "rxadd", "Replication slot; made if missing"),
  publication: withDefault(text, "rxadd", "Publication; made if missing"),
  tables: optional(texts, "Tables to publish, as `schema.table`; all if left out"),
});

const redisSinkEntry = new Settings({
  type: required(oneOf("redis"), "The kind of sink"),
  config: required(redisSinkSettings, "Its settings"),
});

const postgresEntry = new Settings({
  type: required(oneOf("postgres"), "The kind of source"),
  config: required(postgresSettings, "Its settings"),
});

const sinkList = t.tuple([redisSinkEntry]);

const oneSink = new t.Type(
  "a list of exactly one sink",
  sinkList.is,
  (value, context) =>
    Array.isArray(value) && value.length !== 1
      ? t.failure<t.TypeOf<typeof sinkList>>(
          value,
          context,
          `found ${value.length} sinks, expected exactly 1`,
        )
      : sinkList.validate(value, context),
  sinkList.encode,
);

/** The whole file. */
export const configSettings = new Settings({
  pipeline: withDefault(text, "rxadd", "The label `pipeline` of the metrics"),
  source: optional(postgresEntry, "Where `rxadd replicate` reads; `rxadd pipe` needs none"),
  sinks: required(oneSink, "Where events go"),
});

/** A decoded configuration. */
export type Config = t.TypeOf<typeof configSettings>;
