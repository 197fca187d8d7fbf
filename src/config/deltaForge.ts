import { isLeft } from "fp-ts/lib/Either.js";
import * as t from "io-ts";
import { count, duration, flag, OneOrMore, oneOf, text } from "../options/codecs.ts";
import { Described } from "../options/described.ts";
import { group, optional, required, Settings, withDefault } from "../options/settings.ts";
import { sinkEnvelopes } from "../sink/encode/envelope.ts";
import { deadLettersProblem } from "../sink/sameStream.ts";
import { nothingToReadProblem } from "../sources/postgres/nothingToRead.ts";
import {
  type Config,
  configSettings,
  postgresSettings,
  redisSinkSettings,
  snapshotWord,
  wholeProblem,
} from "./config.ts";
import { schemaOf } from "./jsonSchema.ts";
import { Kinds } from "./kinds.ts";

/** The one value that means here what it means there, and why no other does. */
function only<Value extends string | boolean>(value: Value, why: string): Described<Value> {
  const schema = typeof value === "string" ? oneOf(value).schema : { type: "boolean", const: value };
  return new Described<Value>(schema, `${value}: ${why}`, (found): found is Value => found === value);
}

/** A setting of a sink that stands elsewhere in this form. */
function movedTo(place: string) {
  const nothing = new Described<undefined>(
    { type: "null", not: {} },
    `nothing here: it stands in ${place}, for all sinks`,
    (found): found is undefined => found === undefined,
  );
  return optional(nothing, `Stands in \`${place}\``);
}

const envelopeWord = oneOf(...sinkEnvelopes);
const typedEnvelope = new Settings({ type: required(envelopeWord, "The envelope") });

/** `native`, or as it is written there, `{ type: native }`. */
const envelope = new Described<t.TypeOf<typeof envelopeWord>>(
  { anyOf: [schemaOf(envelopeWord), schemaOf(typedEnvelope)] },
  `{ type: ${envelopeWord.name} }`,
  envelopeWord.is,
  (value, context) => {
    if (typeof value !== "object") return envelopeWord.validate(value, context);
    const typed = typedEnvelope.validate(value, context);
    return isLeft(typed) ? typed : t.success(typed.right.type);
  },
);

/** `spec.source.config`. */
export const wrappedPostgresSettings = new Settings(
  {
    ...postgresSettings.shape,
    id: optional(text, "Without an effect: the sinks keep the positions, each under its own id"),
    snapshot: optional(
      new Settings({ mode: required(snapshotWord, "`snapshot` of the source") }),
      "What is done with the rows that are there already",
    ),
  },
  nothingToReadProblem,
);

/** `spec.sinks[].config`. */
export const wrappedSinkSettings = new Settings(
  {
    ...redisSinkSettings.shape,
    batch: movedTo("spec.batch"),
    window: movedTo("spec.batch.max_inflight"),
    envelope: withDefault(envelope, "native", redisSinkSettings.shape.envelope.meaning),
    encoding: withDefault(only("json", "rxadd knows no other encoding"), "json", "How an event is written"),
  },
  deadLettersProblem,
);

const commitPolicy = new Settings(
  {
    mode: required(oneOf("required", "all", "quorum"), "`commit`"),
    quorum: optional(count, "How many sinks, with `mode: quorum`"),
  },
  ({ mode, quorum }) =>
    (mode === "quorum") === (quorum === undefined)
      ? `found mode: ${mode} ${quorum === undefined ? "without" : "and"} a quorum, expected a quorum with mode: quorum, and only there`
      : undefined,
);

const nothing: readonly never[] = [];
const noProcessors = new Described<readonly never[]>(
  { type: "array", maxItems: 0 },
  "an empty list: rxadd transforms events in a program, with RxJS, see docs/pipelines.md",
  (value): value is readonly never[] => Array.isArray(value) && value.length === 0,
);

const wrappedSpec = new Settings({
  source: optional(new Kinds({ postgres: wrappedPostgresSettings }), "Where `rxadd replicate` reads"),
  processors: withDefault(
    noProcessors,
    nothing,
    "None: see [pipelines](pipelines.md) for what a program does",
  ),
  sinks: required(new OneOrMore(new Kinds({ redis: wrappedSinkSettings })), "Where events go"),
  batch: group(
    {
      max_events: withDefault(count, 500, "`batch.max_events` of each sink"),
      max_bytes: withDefault(count, 1_048_576, "`batch.max_bytes` of each sink"),
      max_ms: withDefault(duration, 0, "`batch.linger_ms` of each sink"),
      max_inflight: withDefault(count, 4, "`window` of each sink"),
      respect_source_tx: withDefault(flag, true, "Without an effect: a transaction stays together"),
    },
    "When a batch is published",
  ),
  commit_policy: optional(commitPolicy, "`commit`"),
  schema_sensing: optional(
    new Settings({ enabled: required(only(false, "rxadd senses no schemas"), "Off") }),
    "Off",
  ),
});

/** A pipeline as DeltaForge writes it. */
export const deltaForgeSettings = new Settings({
  apiVersion: required(only("deltaforge/v1", "no other version is known"), "The version of this form"),
  kind: required(only("Pipeline", "nothing else is known"), "What it describes"),
  metadata: required(
    new Settings({
      name: required(text, "`pipeline`: the label `pipeline` of the metrics"),
      tenant: optional(text, "Without an effect"),
    }),
    "What it is called",
  ),
  spec: required(wrappedSpec, "The pipeline"),
});

type Wrapped = t.TypeOf<typeof deltaForgeSettings>;
type WrappedSource = NonNullable<Wrapped["spec"]["source"]>;
type WrappedSink = Wrapped["spec"]["sinks"][0];

/** The same pipeline in our own words. */
function unwrapped({ metadata, spec: { source, sinks, batch, commitPolicy } }: Wrapped): Config {
  const { maxInflight: window, maxMs: lingerMs, maxEvents, maxBytes } = batch;
  const sinkOf = ({ type, config: { encoding: _, ...config } }: WrappedSink): Config["sinks"][0] => ({
    type,
    config: { ...config, batch: { maxEvents, maxBytes, lingerMs }, window },
  });
  const sourceOf = ({ type, config: { id: _id, snapshot, ...config } }: WrappedSource) => ({
    type,
    config: { ...config, snapshot: snapshot?.mode ?? "never" },
  });
  const [first, ...others] = sinks;
  const { mode = "required", quorum = 1 } = commitPolicy ?? {};
  return {
    pipeline: metadata.name,
    source: source && sourceOf(source),
    sinks: [sinkOf(first), ...others.map(sinkOf)],
    commit: mode === "quorum" ? { quorum } : mode,
  };
}

/** What tells DeltaForge's form from ours. */
export const wrapperNames = ["apiVersion", "kind", "metadata", "spec"] as const;

function isWrapped(value: unknown): boolean {
  return (
    typeof value === "object" && value !== null && wrapperNames.some((name) => Object.hasOwn(value, name))
  );
}

/** A pipeline in our form or in that of DeltaForge. */
export const pipelineSettings = new t.Type<Config, unknown, unknown>(
  configSettings.name,
  // Never asked: configuration is only ever decoded.
  (_value): _value is Config => false,
  (value, context) => {
    if (!isWrapped(value)) return configSettings.validate(value, context);
    const wrapped = deltaForgeSettings.validate(value, context);
    if (isLeft(wrapped)) return wrapped;
    const config = unwrapped(wrapped.right);
    const problem = wholeProblem(config);
    return problem === undefined ? t.success(config) : t.failure(value, context, problem);
  },
  t.identity,
);
