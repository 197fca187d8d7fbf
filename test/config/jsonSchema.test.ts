import { readdirSync, readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { isRight } from "fp-ts/lib/Either.js";
import type { Decoder } from "io-ts";
import * as t from "io-ts";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { configSchema } from "../../src/cli/commands/schema.ts";
import { configSettings } from "../../src/config/config.ts";
import { deltaForgeSettings } from "../../src/config/deltaForge.ts";
import { schemaOf } from "../../src/config/jsonSchema.ts";
import { Kinds } from "../../src/config/kinds.ts";
import { loadConfig } from "../../src/config/loadConfig.ts";
import { OneOrMore } from "../../src/options/codecs.ts";
import { Described } from "../../src/options/described.ts";
import { type Setting, Settings } from "../../src/options/settings.ts";
import { codeBlocks } from "../repository/codeBlocks.ts";

const env = {
  REDIS_URI: "redis://localhost",
  POSTGRES_URI: "postgres://localhost/shop",
  PUBLISH: "multi",
  COMMIT: "all",
  TYPE: "ndjson",
  WINDOW: "4",
};
// YAML has infinity, JSON has not.
const matches = new Ajv2020({ allErrors: true, strictNumbers: false }).compile(JSON.parse(configSchema()));

const pages = ["README.md"].concat(
  readdirSync(new URL("../../docs", import.meta.url))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
);
const documented = pages
  .flatMap(codeBlocks)
  .filter(({ language, code }) => language === "yaml" && /^ *sinks:/m.test(code));

/** A file with one sink, whose config has these lines. */
function withSink(lines: string): string {
  return `sinks:
  - type: redis
    config:
      id: a
      uri: redis://localhost
      stream: s
      ${lines}
`;
}

/** A file of DeltaForge whose spec has this line. */
function wrapped(line: string): string {
  return `apiVersion: deltaforge/v1
kind: Pipeline
metadata: { name: a }
spec:
  sinks: [{ type: redis, config: { id: a, uri: redis://h, stream: s } }]
  ${line}`;
}

const values: readonly unknown[] = [
  ...[
    "",
    "a",
    "5",
    "true",
    "script",
    "multi",
    "pipeline",
    "native",
    "raw",
    "required",
    "all",
    "5-0",
    "redis",
    "ndjson",
  ],
  ...["redis://h", "rediss://h:1/2", "postgres://h/d", "http://h", "a b"],
  ...[-1, 0, 0.001, 0.5, 1, 1.5, 2, 1e7, 2 ** 31, 1e300],
  ...[true, false, null, [], ["a"], [""], [5], {}, { a: "b" }, { a: 5 }, { quorum: 2 }, { quorum: 0 }],
];

function isText(value: unknown, codec: Decoder<unknown, unknown>): boolean {
  return typeof value === "string" && isRight(codec.decode(value));
}

/** The settings within, each with its path and its codec. */
function settingsIn(codec: unknown, path = ""): [string, Decoder<unknown, unknown>][] {
  if (codec instanceof Settings) {
    const { shape }: { readonly shape: Readonly<Record<string, Setting<unknown>>> } = codec;
    return Object.entries(shape).flatMap(([name, setting]) => settingsIn(setting.codec, `${path}.${name}`));
  }
  if (codec instanceof OneOrMore) return settingsIn(codec.item, `${path}[]`);
  if (codec instanceof Kinds) {
    const { configs }: { readonly configs: Readonly<Record<string, unknown>> } = codec;
    return Object.entries(configs).flatMap(([type, config]) => settingsIn(config, `${path}.${type}`));
  }
  return codec instanceof Described ? [[path.slice(1), codec]] : [];
}

const settings = [configSettings, deltaForgeSettings].flatMap((form) => settingsIn(form));

describe("the JSON Schema of the configuration", () => {
  it.each(documented.map(({ where, code }) => [where, code]))(
    "accepts what the page shows: %s",
    (_where, code) => {
      for (const document of parseAllDocuments(code)) {
        matches(document.toJS());
        expect(matches.errors ?? []).toEqual([]);
      }
    },
  );

  it.each([
    "sinks: []",
    "sinks: 5",
    "pipeline: 5\nsinks: [{ type: redis, config: { id: a, uri: redis://h, stream: s } }]",
    "sinks: [{ type: kafka, config: {} }]",
    "sinks: [{ type: redis, config: { id: a, stream: s } }]",
    "sinks: [{ type: redis, config: { id: a, uri: http://h, stream: s } }]",
    "source: { type: kafka, config: {} }\nsinks: [{ type: redis, config: { id: a, uri: redis://h, stream: s } }]",
    "commit: { quorum: 0 }\nsinks: [{ type: redis, config: { id: a, uri: redis://h, stream: s } }]",
    withSink("batch: { max_events: 0 }"),
    withSink("batch: { max_event: 5 }"),
    withSink("required: yes please"),
    withSink("envelope: xml"),
    withSink("retry: { jitter: 2 }"),
    withSink("trim: { max_len: 5, min_id: 7-0 }"),
    withSink("trim: {}"),
    withSink("trim: { acknowledged: false }"),
    withSink("retry: { max_retries: 1.5 }"),
    withSink("window: ${WINDOW}"),
    withSink("send_timeout_ms: 0"),
    withSink("send_timeout_secs: 5\n      send_timeout_ms: 5000"),
    withSink("durability: {}"),
    withSink("fields: { id: 5 }"),
    withSink("colour: blue"),
    "[]",
    "- 5",
    "- sinks: []",
    "apiVersion: deltaforge/v1",
    "kind: Pipeline\nsinks: []",
    wrapped("").replace("v1", "v2"),
    wrapped("processors: [a]"),
    wrapped("sharding: {}"),
    wrapped("commit_policy: { mode: some }"),
    wrapped("schema_sensing: { enabled: true }"),
    wrapped("batch: { linger_ms: 5 }"),
    wrapped("source: { type: mysql, config: {} }"),
    wrapped("").replace("stream: s", "stream: s, window: 5"),
    wrapped("").replace("stream: s", "stream: s, encoding: avro"),
    `- ${wrapped("").replace("Pipeline", "Source").replaceAll("\n", "\n  ")}`,
  ])("refuses what the loader refuses: %j", (text) => {
    expect(isRight(loadConfig(text, env)), "the loader").toBe(false);
    expect(matches(parse(text)), "the schema").toBe(false);
  });

  it.each([
    withSink("required: false"),
    withSink("trim: { acknowledged: true }"),
    withSink("fields: { id: '${id}' }"),
    withSink("tls: { ca: '${REDIS_URI}' }"),
    withSink("retry: { max_retries: 5 }"),
    withSink("retry: { max_retries: .inf }"),
    withSink("trim: { max_len: 5, acknowledged: false }"),
    withSink("publish: ${PUBLISH}"),
    withSink("send_timeout_secs: 5\n      connect_timeout_ms: 5000"),
    withSink("envelope: ${ENVELOPE:-debezium}"),
    `commit: \${COMMIT}\n${withSink("")}`,
    `source: { type: "\${TYPE}", config: { path: events.ndjson } }\n${withSink("")}`,
    "sinks: [{ type: redis, config: { id: a, uri: '${REDIS_URI}', stream: s } }]",
    "- sinks: [{ type: redis, config: { id: a, uri: redis://h, stream: s } }]",
    wrapped(""),
    wrapped("batch: { max_ms: 5 }\n  commit_policy: { mode: quorum, quorum: 1 }\n  processors: []"),
    wrapped("").replace("stream: s", "stream: s, envelope: { type: raw }, encoding: json"),
    `- ${wrapped("").replaceAll("\n", "\n  ")}`,
  ])("accepts what the loader accepts: %j", (text) => {
    expect(isRight(loadConfig(text, env)), "the loader").toBe(true);
    matches(parse(text));
    expect(matches.errors ?? []).toEqual([]);
  });

  it("says of each setting what it means, and what it is if it is left out", () => {
    const { sinks, commit } = JSON.parse(configSchema()).$defs.own.properties;
    const { window, send_timeout_secs, send_timeout_ms } = sinks.items.properties.config.properties;

    expect(commit).toMatchObject({ default: "required" });
    expect(send_timeout_secs).toMatchObject({ default: 10, maximum: 2_147_483 });
    expect(send_timeout_ms).toMatchObject({ default: 10_000, description: expect.stringMatching(/in ms$/) });
    expect(window).toEqual({
      type: "integer",
      minimum: 1,
      default: 4,
      description: expect.stringMatching(/batches in flight/),
    });
  });

  it.each(settings)("accepts of %s just what the loader accepts", (_name, codec) => {
    const accepts = new Ajv2020().compile(schemaOf(codec));

    const bySchema = values.filter((value) => accepts(value));
    expect(bySchema).toEqual(values.filter((value) => isRight(codec.decode(value))));
  });

  it.each(settings.filter(([, codec]) => values.some((value) => isText(value, codec))))(
    "leaves %s to the environment",
    (_name, codec) => {
      const accepts = new Ajv2020().compile(schemaOf(codec));

      expect(accepts("${NAME}")).toBe(true);
      expect(accepts("${NAME:-standard}")).toBe(true);
    },
  );

  it("fails for a codec that cannot say what it expects, so that none is left out", () => {
    expect(() => schemaOf(t.string)).toThrow(/make it a Described one/);
  });

  it("stands in the package as the command prints it", () => {
    expect(readFileSync(new URL("../../dist/rxadd.schema.json", import.meta.url), "utf8")).toBe(
      configSchema(),
    );
  });
});
