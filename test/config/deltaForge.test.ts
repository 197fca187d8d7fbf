import { isLeft } from "fp-ts/lib/Either.js";
import { describe, expect, it } from "vitest";
import { formatProblems, loadConfig } from "../../src/config/loadConfig.ts";

const env = { PGPASSWORD: "hunter2", REDIS_URI: "redis://h" };

/** A file of DeltaForge, as it stands. */
const file = `apiVersion: deltaforge/v1
kind: Pipeline
metadata:
  name: shop
  tenant: acme
spec:
  source:
    type: postgres
    config:
      id: shop
      dsn: "postgres://user:\${PGPASSWORD}@localhost/shop"
      slot: shop
      publication: shop_pub
      tables:
        - public.items
      snapshot:
        mode: never
  processors: []
  sinks:
    - type: redis
      config:
        id: orders
        uri: \${REDIS_URI}
        stream: orders.events
        envelope:
          type: native
        encoding: json
        required: true
  batch:
    max_events: 2000
    max_bytes: 16777216
    max_ms: 50
    respect_source_tx: true
    max_inflight: 4
  commit_policy:
    mode: required
  schema_sensing:
    enabled: false
`;

/** The same pipeline in our own words. */
const own = `pipeline: shop
source:
  type: postgres
  config:
    dsn: "postgres://user:\${PGPASSWORD}@localhost/shop"
    slot: shop
    publication: shop_pub
    tables: [public.items]
sinks:
  - type: redis
    config:
      id: orders
      uri: \${REDIS_URI}
      stream: orders.events
      batch: { max_events: 2000, max_bytes: 16777216, linger_ms: 50 }
`;

function problemsOf(text: string): string[] {
  const config = loadConfig(text, env);
  return isLeft(config) ? formatProblems(config.left, "f").split("\n") : [];
}

/** The file with something else in the place of something. */
function changed(from: string, to: string): string {
  expect(file).toContain(from);
  return file.replace(from, to);
}

describe("a file of DeltaForge", () => {
  it("is the same pipeline as one in our own words", () => {
    expect(problemsOf(file)).toEqual([]);
    expect(loadConfig(file, env)).toEqual(loadConfig(own, env));
  });

  it("reads the rows that are there as it says", () => {
    const text = changed("mode: never", "mode: initial");
    const ours = own.replace("slot: shop", "slot: shop\n    snapshot: initial");
    expect(loadConfig(text, env)).toEqual(loadConfig(ours, env));
    expect(loadConfig(ours, env)).toMatchObject({ right: [{ source: { config: { snapshot: "initial" } } }] });
  });

  it("has our defaults where it says nothing", () => {
    const short = `
apiVersion: deltaforge/v1
kind: Pipeline
metadata: { name: rxadd }
spec: { sinks: [{ type: redis, config: { id: a, uri: redis://h, stream: s } }] }`;
    expect(loadConfig(short, {})).toEqual(
      loadConfig("sinks: [{ type: redis, config: { id: a, uri: redis://h, stream: s } }]", {}),
    );
  });

  it("takes what a sink of ours can do beside", () => {
    const text = changed("required: true", "trim: { max_len: 1000 }\n        key: '${id}'");
    expect(loadConfig(text, env)).toMatchObject({
      right: [{ sinks: [{ config: { trim: { maxLen: 1000 }, key: "${id}" } }] }],
    });
  });

  it.each([
    ["all", "all"],
    ["quorum\n    quorum: 1", { quorum: 1 }],
  ])("commits as it says: %s", (policy, commit) => {
    const text = changed("mode: required", `mode: ${policy}`);
    expect(loadConfig(text, env)).toMatchObject({ right: [{ commit }] });
  });

  it.each([
    ["deltaforge/v1", "deltaforge/v2", "1:13: apiVersion: found deltaforge/v2, expected deltaforge/v1: no"],
    ["kind: Pipeline", "kind: Source", "2:7: kind: found Source, expected Pipeline: nothing else is known"],
    ["type: postgres", "type: mysql", "8:11: spec.source.type: found mysql, expected postgres"],
    ["type: redis", "type: kafka", "20:13: spec.sinks[0].type: found kafka, expected redis"],
    [
      "mode: never",
      "mode: always",
      "17:15: spec.source.config.snapshot.mode: found always, expected initial or onDemand or never",
    ],
    [
      "processors: []",
      "processors: [{ type: javascript, id: a, inline: '' }]",
      "18:15: spec.processors: found a list, expected an empty list: rxadd transforms events in a program",
    ],
    [
      "type: native",
      "type: avro",
      "26:17: spec.sinks[0].config.envelope.type: found avro, expected native or",
    ],
    [
      "encoding: json",
      "encoding: avro",
      "27:19: spec.sinks[0].config.encoding: found avro, expected json: rxadd knows no other encoding",
    ],
    [
      "required: true",
      "window: 8",
      "28:17: spec.sinks[0].config.window: found 8, expected nothing here: it stands in spec.batch.max_inflight",
    ],
    [
      "required: true",
      "batch: { max_events: 8 }",
      "28:16: spec.sinks[0].config.batch: found an object, expected nothing here: it stands in spec.batch",
    ],
    [
      "mode: required",
      "mode: some",
      "36:11: spec.commit_policy.mode: found some, expected required or all or",
    ],
    [
      "mode: required",
      "mode: quorum",
      "36:5: spec.commit_policy: found mode: quorum without a quorum, expected a quorum with mode: quorum",
    ],
    [
      "mode: required",
      "mode: quorum\n    quorum: 2",
      "commit.quorum: found 2, expected a whole number from 1 to 1",
    ],
    [
      "enabled: false",
      "enabled: true",
      "38:14: spec.schema_sensing.enabled: found true, expected false: rxadd senses no schemas",
    ],
    ["tenant: acme", "labels: {}", "5:11: metadata.labels: no such setting, expected one of name, tenant"],
    [
      "  processors: []",
      "  sharding: { count: 4 }",
      "18:13: spec.sharding: no such setting, expected one of source, processors, sinks, batch, commit_policy, schema_sensing",
    ],
  ])("refuses by name what means something else: %s as %s", (from, to, problem) => {
    const problems = problemsOf(changed(from, to));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
    expect(problems[0]).not.toContain("hunter2");
  });

  it.each(["apiVersion: deltaforge/v1", "kind: Pipeline", "metadata: { name: a }", "spec: {}"])(
    "is known by any of its names, and says what it lacks: %s",
    (line) => {
      const missing = problemsOf(line).join("\n");
      expect(missing).toMatch(/(apiVersion|kind): found nothing, expected/);
      expect(missing).not.toContain("did you mean");
    },
  );

  it("stands among pipelines of our own", () => {
    const other = own.replaceAll("shop", "other").replace("id: orders", "id: others");
    expect(loadConfig(`${file}---\n${other}`, env)).toMatchObject({
      right: [{ pipeline: "shop" }, { pipeline: "other" }],
    });
  });
});
