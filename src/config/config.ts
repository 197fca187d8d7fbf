import * as t from "io-ts";
import { oneOf, postgresUri, redisUri, text, texts } from "./codecs.ts";
import { optional, required, Settings, withDefault } from "./settings.ts";
import { keySetting, sinkTuning } from "./sinkTuning.ts";

/** `sinks[].config` of a Redis sink. The first four are all that most need. */
export const redisSinkSettings = new Settings({
  id: required(text, "Sink identifier"),
  uri: required(redisUri, "Redis connection URI"),
  stream: required(text, "Redis stream key, or a template such as `cdc.${source.table}`"),
  ...sinkTuning,
  key: keySetting,
});

/** `source.config` of a PostgreSQL source. */
export const postgresSettings = new Settings({
  dsn: required(postgresUri, "PostgreSQL connection URI"),
  slot: withDefault(text, "rxadd", "Replication slot; made if missing"),
  publication: withDefault(text, "rxadd", "Publication; made if missing"),
  tables: optional(texts, "Tables to publish, as `schema.table`; all if left out"),
});

export const redisSinkEntry = new Settings({
  type: required(oneOf("redis"), "The kind of sink"),
  config: required(redisSinkSettings, "Its settings"),
});

export const postgresEntry = new Settings({
  type: required(oneOf("postgres"), "The kind of source"),
  config: required(postgresSettings, "Its settings"),
});

const sinkList = t.readonly(t.tuple([redisSinkEntry]));

const oneSink = new t.Type(
  "a list of exactly one sink",
  sinkList.is,
  (value, context) =>
    Array.isArray(value) && value.length !== 1
      ? t.failure<t.TypeOf<typeof sinkList>>(
          value,
          context,
          `found ${value.length} sinks, expected exactly 1: give each sink a file and a run of its own`,
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
