import * as t from "io-ts";
import { count, flag, OneOrMore, oneOf, postgresUri, template, text, texts } from "../options/codecs.ts";
import { Described } from "../options/described.ts";
import { optional, required, Settings, withDefault } from "../options/settings.ts";
import { reachSettings, redisUri } from "../redis/connect/serverOptions.ts";
import { copyProblem, deadLettersProblem, doublesProblem } from "../sink/sameStream.ts";
import { keySetting, sinkTuning } from "../sink/sinkTuning.ts";
import { writersProblem } from "../sink/writers.ts";
import { nothingToReadProblem } from "../sources/postgres/nothingToRead.ts";
import { outboxSettings } from "../sources/postgres/outbox.ts";
import { schemaOf } from "./jsonSchema.ts";
import { Kinds } from "./kinds.ts";

/** `sinks[].config` of a Redis sink. The first four are all that most need. */
export const redisSinkSettings = new Settings(
  {
    id: required(text, "Sink identifier"),
    uri: required(redisUri, "Redis connection URI"),
    stream: required(template, "Redis stream key, or a template such as `cdc.${source.table}`"),
    ...sinkTuning,
    key: keySetting,
  },
  (settings) => deadLettersProblem(settings) ?? writersProblem(settings),
);

/** `snapshot` of a PostgreSQL source. */
export const snapshotWord = oneOf("initial", "onDemand", "never");

/** `source.config` of a PostgreSQL source. */
export const postgresSettings = new Settings(
  {
    dsn: required(postgresUri, "PostgreSQL connection URI"),
    slot: withDefault(text, "rxadd", "Replication slot; made if missing"),
    publication: withDefault(text, "rxadd", "Publication; made if missing"),
    tables: optional(texts, "Tables to publish, as `schema.table`; all if left out, none with `[]`"),
    messages: optional(
      texts,
      "Prefixes of the messages of `pg_logical_emit_message` that are events as well",
    ),
    outbox: optional(outboxSettings, "What is inserted are events, of which a column is written"),
    snapshot: withDefault(
      snapshotWord,
      "never",
      "[Rows that are there already](postgres.md#rows-that-are-there-already): all of them, at a first run; those that `rxadd backfill` asks for, which `initial` reads as well; none",
    ),
    snapshot_connections: withDefault(
      count,
      1,
      "How many tables are read side by side, each by a connection of its own",
    ),
    via_partition_root: optional(
      flag,
      "Whether changes of partitions are those of their partitioned table; see [PostgreSQL](postgres.md#partitioned-tables)",
    ),
    failover: withDefault(
      flag,
      false,
      "Whether the slot goes along when a standby takes over, from PostgreSQL 17 on",
    ),
    accept_hole: withDefault(
      flag,
      false,
      "Go on although changes are gone, once; see [PostgreSQL](postgres.md#what-a-first-run-is)",
    ),
  },
  nothingToReadProblem,
);

/** `source.config` of a file of NDJSON. */
export const ndjsonSettings = new Settings({
  path: required(text, "The file; each line is a change event"),
});

/** `source.config` of another Redis Stream. */
export const streamSettings = new Settings({
  uri: required(redisUri, "Redis connection URI"),
  stream: required(text, "Redis stream key"),
  tls: reachSettings.tls,
  sentinel: reachSettings.sentinel,
});

const quorum = new Settings({ quorum: required(count, "So many of the sinks gate the checkpoint") });

export const redisSinkEntry = new Settings({
  type: required(oneOf("redis"), "The kind of sink"),
  config: required(redisSinkSettings, "Its settings"),
});

/** By type: what `source.config` may hold. */
export const sources = { postgres: postgresSettings, ndjson: ndjsonSettings, redis: streamSettings };

const commitWord = oneOf("required", "all");

const commit = new Described<t.TypeOf<typeof commitWord> | t.TypeOf<typeof quorum>>(
  { anyOf: [schemaOf(commitWord), schemaOf(quorum)] },
  "required, all, or { quorum: 2 }",
  (_value): _value is "required" => false,
  (value, context) => {
    if (commitWord.is(value)) return t.success(value);
    return typeof value === "object" ? quorum.validate(value, context) : t.failure(value, context);
  },
);

const sourceKinds = new Kinds(sources);
const sinkList = new OneOrMore(redisSinkEntry);

/** What depends on each other in a pipeline. */
interface Parts {
  readonly source?: t.TypeOf<typeof sourceKinds> | undefined;
  readonly sinks: t.TypeOf<typeof sinkList>;
  readonly commit: t.TypeOf<typeof commit>;
}

/** A pipeline. */
export const configSettings = new Settings(
  {
    pipeline: withDefault(text, "rxadd", "The label `pipeline` of the metrics"),
    source: optional(sourceKinds, "Where `rxadd replicate` reads; `rxadd pipe` needs none"),
    sinks: required(sinkList, "Where events go"),
    commit: withDefault(
      commit,
      "required",
      "Which of several sinks gate the checkpoint: those that are `required`, all of them, or any so many",
    ),
  },
  (parts) => wholeProblem(parts),
);

/** What is wrong with the parts of a pipeline together; undefined: nothing. */
export function wholeProblem({ source, sinks, commit }: Parts): string | undefined {
  const configs = sinks.map(({ config }) => config);
  const copies =
    source?.type === "redis"
      ? configs.map((config) => copyProblem(source.config, config) ?? changedProblem(config))
      : [];
  return [togetherProblem(configs, commit), doublesProblem(configs), ...copies].find(
    (problem) => problem !== undefined,
  );
}

/** What is wrong with a sink that would change the entries that it copies; undefined: nothing. */
function changedProblem({ id, envelope, fields }: Parts["sinks"][0]["config"]): string | undefined {
  const found = envelope !== "native" ? `envelope: ${envelope}` : fields && "fields";
  if (found === undefined) return undefined;
  return `sinks: found ${found} at ${id}, expected none: entries of another stream are copied as they are`;
}

/** What is wrong with several sinks together; undefined: nothing. */
function togetherProblem(
  sinks: readonly { readonly id: string; readonly required: boolean }[],
  commit: "required" | "all" | { readonly quorum: number },
): string | undefined {
  const ids = sinks.map(({ id }) => id);
  if (new Set(ids).size < ids.length)
    return `sinks: found the ids ${ids.join(", ")}, expected different ones`;
  if (typeof commit === "object" && commit.quorum > sinks.length)
    return `commit.quorum: found ${commit.quorum}, expected a whole number from 1 to ${sinks.length}, of the sinks that there are`;
  if (sinks.length > 1 && commit === "required" && !sinks.some(({ required }) => required))
    return "sinks: found no sink that is required, expected at least one, or commit: all or { quorum }";
  return undefined;
}

/** A decoded pipeline. */
export type Config = t.TypeOf<typeof configSettings>;
