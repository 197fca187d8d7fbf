import { readdirSync, readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { isRight } from "fp-ts/lib/Either.js";
import * as t from "io-ts";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { configSchema } from "../../src/cli/schema.ts";
import { schemaOf } from "../../src/config/jsonSchema.ts";
import { loadConfig } from "../../src/config/loadConfig.ts";
import { codeBlocks } from "../support/codeBlocks.ts";

const env = { REDIS_URI: "redis://localhost", POSTGRES_URI: "postgres://localhost/shop" };
const matches = new Ajv2020({ allErrors: true }).compile(JSON.parse(configSchema()));

const pages = ["README.md"].concat(
  readdirSync(new URL("../../docs", import.meta.url))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
);
const documented = pages
  .flatMap(codeBlocks)
  .filter(({ language, code }) => language === "yaml" && /^sinks:/m.test(code));

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

describe("the JSON Schema of the configuration", () => {
  it.each(documented.map(({ where, code }) => [where, code]))(
    "accepts what the page shows: %s",
    (_where, code) => {
      matches(parse(code));
      expect(matches.errors ?? []).toEqual([]);
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
    withSink("durability: {}"),
    withSink("fields: { id: 5 }"),
    withSink("colour: blue"),
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
    "sinks: [{ type: redis, config: { id: a, uri: '${REDIS_URI}', stream: s } }]",
  ])("accepts what the loader accepts: %j", (text) => {
    expect(isRight(loadConfig(text, env)), "the loader").toBe(true);
    matches(parse(text));
    expect(matches.errors ?? []).toEqual([]);
  });

  it("says of each setting what it means, and what it is if it is left out", () => {
    const { sinks, commit } = JSON.parse(configSchema()).properties;
    const { window } = sinks.items.properties.config.properties;

    expect(commit).toMatchObject({ default: "required" });
    expect(window).toEqual({
      type: "integer",
      minimum: 1,
      default: 4,
      description: expect.stringMatching(/batches in flight/),
    });
  });

  it("fails for a codec that cannot say what it expects, so that none is left out", () => {
    expect(() => schemaOf(t.string)).toThrow(/make it a Described one/);
  });

  it("stands in the package as the command prints it", () => {
    expect(readFileSync(new URL("../../dist/rxadd.schema.json", import.meta.url), "utf8")).toBe(
      configSchema(),
    );
  });
});
