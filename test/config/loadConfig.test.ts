import { readFileSync } from "node:fs";
import fc from "fast-check";
import { isLeft, isRight } from "fp-ts/lib/Either.js";
import { describe, expect, it } from "vitest";
import { postgresSettings, redisSinkSettings } from "../../src/config/config.ts";
import { formatProblems, loadConfig } from "../../src/config/loadConfig.ts";
import { Settings } from "../../src/config/settings.ts";

const seed = `sinks:
  - type: redis
    config:
      id: orders-redis
      uri: \${REDIS_URI}
      stream: orders.events
      required: true
`;

function problemsOf(text: string, env: Record<string, string> = {}): string[] {
  const config = loadConfig(text, env);
  return isLeft(config) ? formatProblems(config.left, "sinks.yaml").split("\n") : [];
}

/** A file whose sink has these further lines. */
function withSink(...lines: string[]): string {
  return `sinks:\n  - type: redis\n    config:\n${lines.map((line) => `      ${line}\n`).join("")}`;
}

const good = ["id: a", "uri: redis://h", "stream: s"];

describe("loadConfig", () => {
  it("reads the seed's file and fills in every default", () => {
    const config = loadConfig(seed, { REDIS_URI: "redis://u:p@h:6379/1" });

    expect(config).toMatchObject({
      right: {
        pipeline: "rxadd",
        sinks: [
          {
            type: "redis",
            config: {
              id: "orders-redis",
              uri: "redis://u:p@h:6379/1",
              stream: "orders.events",
              required: true,
              batch: { maxEvents: 500, maxBytes: 1_048_576, lingerMs: 0 },
              buffer: { maxEvents: 20_000, maxBytes: 67_108_864 },
              retry: { initialMs: 100, maxMs: 10_000, jitter: 0.2 },
              window: 4,
              publish: "script",
            },
          },
        ],
      },
    });
  });

  it("takes required to be true when it is left out", () => {
    expect(loadConfig(withSink(...good), {})).toMatchObject({
      right: { sinks: [{ config: { required: true } }] },
    });
  });

  it("lists all problems at once, each with its place, what was found and what was expected", () => {
    const problems = problemsOf(
      withSink(
        "id: 7",
        "uri: http://h",
        "steam: s",
        "required: maybe",
        "batch: { max_event: 1, max_bytes: 0 }",
      ),
    );

    expect(problems.sort()).toEqual([
      "sinks.yaml:4:11: sinks[0].config.id: found 7, expected a text",
      "sinks.yaml:4:7: sinks[0].config.stream: found nothing, expected a text",
      "sinks.yaml:5:12: sinks[0].config.uri: found http://h, expected a URI that starts with redis:// or rediss://",
      "sinks.yaml:6:14: sinks[0].config.steam: no such setting; did you mean stream?",
      "sinks.yaml:7:17: sinks[0].config.required: found maybe, expected true or false",
      "sinks.yaml:8:27: sinks[0].config.batch.max_event: no such setting; did you mean max_events?",
      "sinks.yaml:8:41: sinks[0].config.batch.max_bytes: found 0, expected a whole number from 1 on",
    ]);
  });

  it("says where a setting stands, by line and column", () => {
    expect(problemsOf(withSink("id: a", "uri: http://h", "stream: s"))[0]).toMatch(/^sinks\.yaml:5:12: /);
  });

  it("names an environment variable that is not set, and where", () => {
    expect(problemsOf(seed)).toEqual([
      "sinks.yaml:5:12: sinks[0].config.uri: the environment variable REDIS_URI is not set",
    ]);
  });

  it.each([
    ["${HOST:-redis://d}", {}, "redis://d"],
    ["${HOST:-redis://d}", { HOST: "redis://e" }, "redis://e"],
    ["redis://${USER}:${PASS}@h", { USER: "u", PASS: "p" }, "redis://u:p@h"],
    ["redis://$${NOT}", {}, "redis://${NOT}"],
  ])("expands %s", (text, env, expected) => {
    const config = loadConfig(withSink("id: a", `uri: "${text}"`, "stream: s"), env);

    expect(config).toMatchObject({ right: { sinks: [{ config: { uri: expected } }] } });
  });

  it("leaves a stream template to the events", () => {
    const config = loadConfig(withSink("id: a", "uri: redis://h", 'stream: "cdc.${source.table}"'), {});

    expect(config).toMatchObject({ right: { sinks: [{ config: { stream: "cdc.${source.table}" } }] } });
  });

  it("cannot be changed in shape by a value from the environment", () => {
    const config = loadConfig(withSink("id: ${ID}", "uri: redis://h", "stream: s"), {
      ID: "x\n      required: false",
    });

    expect(config).toMatchObject({
      right: { sinks: [{ config: { id: "x\n      required: false", required: true } }] },
    });
  });

  it("never shows a password that it complains about", () => {
    expect(problemsOf(withSink("id: a", "uri: http://u:hunter2@h", "stream: s")).join()).not.toContain(
      "hunter2",
    );
  });

  it("reports several sinks, no sinks, and what is not YAML", () => {
    expect(problemsOf("sinks: []")).toEqual([expect.stringContaining("found 0 sinks, expected exactly 1")]);
    const two = `${seed}${seed.slice("sinks:\n".length)}`;
    expect(problemsOf(two, { REDIS_URI: "redis://h" })[0]).toContain("found 2 sinks, expected exactly 1");
    expect(problemsOf("sinks: [")[0]).toMatch(/^sinks\.yaml:1:\d+: not YAML: /);
    expect(problemsOf("a: 1\na: 2")[0]).toContain("Map keys must be unique");
  });

  it("treats __proto__ as any other setting that does not exist", () => {
    expect(problemsOf(withSink(...good, "__proto__: { required: false }"))[0]).toContain("no such setting");
    expect(({} as Record<string, unknown>).required).toBeUndefined();
  });

  it("never throws, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string(), (text, value) => {
        loadConfig(text, {});
        loadConfig(seed, { REDIS_URI: value });
      }),
    );
  });

  it("accepts exactly the values that a setting allows", () => {
    fc.assert(
      fc.property(fc.oneof(fc.integer(), fc.double(), fc.boolean(), fc.string()), (value) => {
        const config = loadConfig(withSink(...good, `window: ${JSON.stringify(value)}`), {});
        expect(isRight(config)).toBe(typeof value === "number" && Number.isInteger(value) && value >= 1);
      }),
    );
  });
});

describe("docs/configuration.md", () => {
  const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");

  /** The rows that the codecs ask for. */
  function rows(settings: { readonly shape: object }, prefix = ""): string[] {
    return Object.entries(settings.shape).flatMap(([name, setting]) => {
      if (setting.codec instanceof Settings) return rows(setting.codec, `${name}.`);
      const fallback =
        setting.fallback === undefined ? (setting.isOptional ? "all" : "—") : `\`${setting.fallback}\``;
      return [`| \`${prefix}${name}\` | ${setting.codec.name} | ${fallback} | ${setting.meaning} |`];
    });
  }

  it.each([
    ["A Redis sink", redisSinkSettings],
    ["A PostgreSQL source", postgresSettings],
  ])("lists under %s exactly the settings that there are", (title, settings) => {
    const section = page.split(`## ${title}\n`)[1]?.split("\n## ")[0] ?? "";
    const found = section.split("\n").filter((line) => line.startsWith("| `"));

    expect(found).toEqual(rows(settings));
  });
});
