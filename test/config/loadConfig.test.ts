import fc from "fast-check";
import { isLeft, isRight, map } from "fp-ts/lib/Either.js";
import { pipe } from "fp-ts/lib/function.js";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { formatProblems, loadConfig as loadPipelines } from "../../src/config/loadConfig.ts";

/** The one pipeline of a text. */
function loadConfig(text: string, env: Record<string, string>) {
  return pipe(
    loadPipelines(text, env),
    map(([first]) => first),
  );
}

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

    expect(problems).toEqual([
      "sinks.yaml:4:7: sinks[0].config.stream: found nothing, expected a text",
      "sinks.yaml:4:11: sinks[0].config.id: found 7, expected a text",
      "sinks.yaml:5:12: sinks[0].config.uri: found http://h, expected a URI that starts with redis://, rediss://, redis-sentinel://, rediss-sentinel://, redis-cluster:// or rediss-cluster://",
      "sinks.yaml:6:14: sinks[0].config.steam: no such setting; did you mean stream?",
      "sinks.yaml:7:17: sinks[0].config.required: found a text, expected true or false",
      "sinks.yaml:8:27: sinks[0].config.batch.max_event: no such setting; did you mean max_events?",
      "sinks.yaml:8:41: sinks[0].config.batch.max_bytes: found 0, expected a whole number from 1 on",
    ]);
  });

  it("suggests only what looks like it", () => {
    expect(problemsOf(`comit: all\nlabels: 5\n${withSink(...good, "compression: lz4")}`)).toEqual([
      "sinks.yaml:1:8: comit: no such setting; did you mean commit?",
      "sinks.yaml:2:9: labels: no such setting, expected one of pipeline, source, sinks, commit",
      "sinks.yaml:9:20: sinks[0].config.compression: no such setting",
    ]);
  });

  it("names an environment variable that is not set, and where", () => {
    expect(problemsOf(seed)).toEqual([
      "sinks.yaml:5:12: sinks[0].config.uri: the environment variable REDIS_URI is not set",
    ]);
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

  it.each([
    ["uri: http://u:hunter2@h", "uri: found http://u:***@h, expected a URI that starts with redis://"],
    ["uri: [redis://u:hunter2@h]", "uri: found a list, expected a URI"],
    ["uri: { redis://u:hunter2@h }", "uri: found an object, expected a URI"],
    ["required: hunter2", "required: found a text, expected true or false"],
    ["window: hunter2", "window: found a text, expected a whole number from 1 on"],
    ["uri: hunter2", "uri: found a text without a scheme, expected a URI"],
    ["uri: host=h password=hunter2", "uri: found a text without a scheme, expected a URI"],
    ["publish: redis://u:hunter2@h", "publish: found redis://u:***@h, expected script or multi"],
    ["? uri:redis://u:hunter2@h\n      : x", "no such setting"],
    ["uri: *hunter2", "not YAML: found an alias without its anchor"],
    ['uri: "redis://u:hunter2@h', "not YAML: Missing closing"],
  ])("shows no password when it complains about %s", (line, complaint) => {
    const problems = problemsOf(withSink("id: a", "stream: s", line)).join("\n");

    expect(problems).toContain(complaint);
    expect(problems).not.toContain("hunter2");
  });

  it.each([
    ['window: "4"', 'window: found "4", expected a whole number from 1 on'],
    ["window: 1.5", "window: found 1.5, expected a whole number from 1 on"],
    ["window: .nan", "window: found NaN, expected a whole number from 1 on"],
    ["window:", "window: found null, expected a whole number from 1 on"],
    ['required: "true"', 'required: found "true", expected true or false'],
    ['publish: ""', 'publish: found "", expected script or multi'],
    ["publish: lua", "publish: found lua, expected script or multi"],
    ["batch: 500", "batch: found 500, expected an object with max_events, max_bytes, linger_ms"],
    ["batch: { linger_ms: -1 }", "batch.linger_ms: found -1, expected a number of milliseconds from 0 to"],
    ["batch: { linger_ms: .inf }", "batch.linger_ms: found Infinity, expected a number of milliseconds"],
    ["connect_timeout_secs: 1e10", "connect_timeout_secs: found 10000000000, expected a number of seconds"],
    ["send_timeout_ms: 0", "send_timeout_ms: found 0, expected a number of milliseconds from 1"],
    [
      "send_timeout_secs: 5\n      send_timeout_ms: 5000",
      "send_timeout_ms: found send_timeout_secs as well, expected one of them: they are the same setting",
    ],
    ["send_timeout_secs: 0", "send_timeout_secs: found 0, expected a number of seconds from 0.001"],
    ["retry: { jitter: 1.1 }", "retry.jitter: found 1.1, expected a number from 0 to 1"],
    [
      "retry: { initial_ms: 500, max_ms: 100 }",
      "retry: found a first delay of 500 ms and a longest of 100 ms, expected the longest to be no shorter",
    ],
    ["retry: { factor: 0.5 }", "retry.factor: found 0.5, expected a number from 1 on"],
    ["retry: { max_retries: -1 }", "retry.max_retries: found -1, expected a whole number from 0 on"],
    [
      "retry: { max_retries: Infinity }",
      'retry.max_retries: found "Infinity", expected a whole number from 0 on, or infinity (.inf in YAML)',
    ],
  ])("refuses %s", (line, complaint) => {
    expect(problemsOf(withSink(...good, line))).toEqual([expect.stringContaining(`[0].config.${complaint}`)]);
  });

  it.each(["connect", "send", "batch"])("takes %s_timeout in seconds or in ms", (name) => {
    const decoded = (line: string) => {
      const config = loadConfig(withSink(...good, line), {});
      return isRight(config) ? config.right.sinks[0].config : config.left.problems;
    };

    expect(decoded(`${name}_timeout_secs: 2.5`)).toMatchObject({ [`${name}TimeoutMs`]: 2500 });
    expect(decoded(`${name}_timeout_ms: 2500`)).toMatchObject({ [`${name}TimeoutMs`]: 2500 });
  });

  it("takes .inf for retries without end", () => {
    expect(loadConfig(withSink(...good, "retry: { max_retries: .inf }"), {})).toMatchObject({
      right: { sinks: [{ config: { retry: { maxRetries: Number.POSITIVE_INFINITY } } }] },
    });
  });

  it.each([
    ["dsn: mysql://u:p@h/db", "dsn: found mysql://u:***@h/db, expected a URI that starts with postgres://"],
    ["dsn: postgres://h/db\n    tables: [public.a, 5]", "tables[1]: found 5, expected a text"],
    ["dsn: postgres://h/db\n    slots: x", "slots: no such setting; did you mean slot?"],
  ])("refuses the source's %s", (lines, complaint) => {
    const source = `source:\n  type: postgres\n  config:\n    ${lines}\n`;

    expect(problemsOf(source + withSink(...good))).toEqual([
      expect.stringContaining(`source.config.${complaint}`),
    ]);
  });

  it("refuses a source of no table, unless it reads messages", () => {
    const source = (more: string) =>
      `source: { type: postgres, config: { dsn: postgres://h/db, tables: []${more} } }\n${withSink(...good)}`;
    expect(problemsOf(source(""))).toEqual([
      expect.stringContaining(
        "source.config: found an empty list of tables and no messages, expected one table or more, or messages",
      ),
    ]);
    expect(problemsOf(source(", messages: []"))).toHaveLength(1);
    expect(loadConfig(source(", messages: [shop], outbox: { key: id }"), {})).toMatchObject({
      right: {
        source: {
          config: { tables: [], messages: ["shop"], outbox: { id: "id", key: "id", payload: "payload" } },
        },
      },
    });
  });

  it.each([
    ["kafka", ": found kafka, expected an object with type: postgres or ndjson or redis, and config"],
    ["{ type: kafka, config: {} }", ".type: found kafka, expected postgres or ndjson or redis"],
    ["{ config: {} }", ".type: found nothing, expected postgres or ndjson or redis"],
  ])("names the kinds of sources that there are: %s", (source, complaint) => {
    expect(problemsOf(`source: ${source}\n${withSink(...good)}`)).toEqual([
      expect.stringContaining(`: source${complaint}`),
    ]);
  });

  it.each(["multi", "pipeline"])(
    "reads publish: %s, the name that it has and the one that it had",
    (publish) => {
      expect(loadConfig(withSink(...good, `publish: ${publish}`), {})).toMatchObject({
        right: { sinks: [{ config: { publish: "multi" } }] },
      });
    },
  );

  it("reads a source and fills in its defaults", () => {
    const source = "source: { type: postgres, config: { dsn: postgres://h/db, tables: [public.orders] } }\n";

    expect(loadConfig(`pipeline: shop\n${source}${withSink(...good)}`, {})).toMatchObject({
      right: {
        pipeline: "shop",
        source: {
          type: "postgres",
          config: {
            ...{ dsn: "postgres://h/db", slot: "rxadd", publication: "rxadd" },
            ...{ tables: ["public.orders"], acceptHole: false },
          },
        },
      },
    });
  });

  it.each([
    ["", ": found null, expected an object with pipeline, source, sinks, commit"],
    ["[]", ": found an empty list, expected an object with pipeline, source, sinks, commit"],
    ["sinks: 5", ":1:8: sinks: found 5, expected a list of one or more"],
    ["sinks: []", ":1:8: sinks: found an empty list, expected a list of one or more"],
    ["sinks: [null]", ":1:9: sinks[0]: found null, expected an object with type, config"],
    ["a: 1\na: 2", ":2:1: not YAML: Map keys must be unique"],
    ["sinks: *a", ":1:8: not YAML: found an alias without its anchor"],
    ["sinks: &a [*a]", ":1:12: not YAML: found an alias inside of what it stands for"],
  ])("says of %j what is wrong", (text, complaint) => {
    expect(problemsOf(text)).toEqual([`sinks.yaml${complaint}`]);
  });

  it("says where YAML breaks off", () => {
    expect(problemsOf("sinks: [")[0]).toMatch(/^sinks\.yaml:1:\d+: not YAML: /);
  });

  it("refuses aliases of aliases that would fill the memory", () => {
    const lists = ["a", "b", "c", "d", "e"].map(
      (name, index) => `${name}: &${name} [${Array(9).fill(index === 0 ? "x" : `*${"abcde"[index - 1]}`)}]`,
    );

    expect(problemsOf(lists.join("\n"))[0]).toContain("not YAML: ReferenceError: Excessive alias count");
  });

  it("takes an alias for what it stands for", () => {
    const config = loadConfig(withSink("id: &name orders", "uri: redis://h", "stream: *name"), {});

    expect(config).toMatchObject({ right: { sinks: [{ config: { id: "orders", stream: "orders" } }] } });
  });

  it("treats __proto__ as any other setting that does not exist", () => {
    expect(problemsOf(withSink(...good, "__proto__: { required: false }"))[0]).toContain("no such setting");
    expect(({} as Record<string, unknown>).required).toBeUndefined();
  });

  it("never throws, whatever the text", () => {
    const scrap = fc.constantFrom(
      ..."[]{}:,&*!|>-?#%@`'\"\n ab",
      "sinks",
      ": ",
      "- ",
      "&a",
      "*a",
      "${A}",
      "__proto__",
    );
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(scrap).map((scraps) => scraps.join("")),
    );
    fc.assert(
      fc.property(text, fc.string(), (text, value) => {
        loadConfig(text, {});
        loadConfig(seed, { REDIS_URI: value });
      }),
    );
  });

  it("decodes to what the settings allow, or says what is wrong", () => {
    const number = fc.oneof(fc.integer({ min: -1, max: 3 }), fc.double(), fc.integer());
    const value = fc.oneof({ weight: 4, arbitrary: number }, fc.boolean(), fc.string(), fc.constant(null));
    function some(...names: readonly string[]) {
      return fc.record(Object.fromEntries(names.map((name) => [name, value])), { requiredKeys: [] });
    }
    const tuning = fc.record(
      {
        batch: some("max_events", "max_bytes", "linger_ms"),
        buffer: some("max_events", "max_bytes"),
        retry: some("initial_ms", "factor", "max_ms", "jitter", "max_retries"),
        window: value,
        connect_timeout_secs: value,
        send_timeout_secs: value,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(tuning, (tuning) => {
        const config = { id: "a", uri: "redis://h", stream: "s", ...tuning };
        const decoded = loadConfig(stringify({ sinks: [{ type: "redis", config }] }), {});
        if (isLeft(decoded)) {
          expect(decoded.left.problems).not.toEqual([]);
          return;
        }
        const [{ config: found }] = decoded.right.sinks;
        const { batch, buffer, retry, window, connectTimeoutMs, sendTimeoutMs } = found;
        for (const count of [batch.maxEvents, batch.maxBytes, buffer.maxEvents, buffer.maxBytes, window]) {
          expect(Number.isInteger(count) && count >= 1).toBe(true);
        }
        for (const ms of [batch.lingerMs, retry.initialMs, retry.maxMs, connectTimeoutMs, sendTimeoutMs]) {
          expect(ms >= 0 && ms < 2 ** 31).toBe(true);
        }
        expect(Math.min(connectTimeoutMs, sendTimeoutMs)).toBeGreaterThanOrEqual(1);
        expect(retry.jitter >= 0 && retry.jitter <= 1).toBe(true);
        expect(retry.factor >= 1 && Number.isFinite(retry.factor)).toBe(true);
        expect(retry.maxRetries).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 500 },
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

describe("sinks that cannot be together", () => {
  const sinks = (more: string, ...ids: readonly string[]) =>
    `sinks: [${ids.map((id) => `{ type: redis, config: { id: ${id}, uri: redis://h, stream: s, ${more} } }`).join(", ")}]`;

  it.each([
    ["an id twice", sinks("required: true", "a", "b", "a"), "found the ids a, b, a, expected different ones"],
    [
      "one stream twice",
      sinks("required: true", "a", "b"),
      "found s as the stream of a and of b, on one server",
    ],
    ["none that is required", sinks("required: false", "a", "b"), "found no sink that is required"],
    [
      "a quorum of more than there are",
      `commit: { quorum: 3 }\n${sinks("required: true", "a", "b")}`,
      "commit.quorum: found 3, expected a whole number from 1 to 2",
    ],
  ])("are refused: %s", (_case, text, problem) => {
    expect(problemsOf(text)).toEqual([expect.stringContaining(problem)]);
  });
});

describe("a sink that copies entries", () => {
  it.each([
    ["envelope: raw", "envelope: raw"],
    ["envelope: flat", "envelope: flat"],
    ["fields: { id: '$${id}' }", "fields"],
  ])("is refused with what it would not heed: %s", (setting, found) => {
    const sink = `{ type: redis, config: { id: copy, uri: redis://g, stream: b, ${setting} } }`;
    const source = "{ type: redis, config: { uri: redis://h, stream: a } }";

    expect(problemsOf(`source: ${source}\nsinks: [${sink}]`)).toEqual([
      expect.stringContaining(
        `sinks: found ${found} at copy, expected none: entries of another stream are copied as they are`,
      ),
    ]);
    expect(problemsOf(`sinks: [${sink}]`)).toEqual([]);
  });
});

describe("a sink that would feed itself", () => {
  const copy = (source: string, sink: string, uris = ["redis://h", "redis://h"]) =>
    problemsOf(
      `source: { type: redis, config: { uri: "${uris[0]}", stream: "${source}" } }\nsinks: [{ type: redis, config: { id: c, uri: "${uris[1]}", ${sink} } }]`,
    );

  it.each([
    ["the same stream", "a", "stream: a"],
    ["a template that comes to it", "a", "stream: '$${stream}'"],
    ["one of its partitions", "a:{2}", "stream: a, partitions: 3"],
    ["its dead letters", "a", "stream: b, dead_letters: { stream: a }"],
  ])("is refused: %s", (_case, source, sink) => {
    expect(copy(source, sink)).toEqual([
      expect.stringContaining(`found ${source} as the stream of the source, and where sink c writes`),
    ]);
  });

  it.each([
    ["redis://h:6379/0", "redis://u:p@H"],
    ["redis://localhost/2", "redis://127.0.0.1:6379/2"],
    ["redis-sentinel://a,b/m", "redis-sentinel://b:26379,c/m/0"],
    ["redis-cluster://a,b", "redis-cluster://u:p@b:6379"],
  ])("is refused by %s and %s", (...uris) => {
    expect(copy("a", "stream: a", uris)).toEqual([
      expect.stringContaining("found a as the stream of the source"),
    ]);
  });

  it.each([
    ["another stream", "a", "stream: b", ["redis://h", "redis://h"]],
    ["another server", "a", "stream: a", ["redis://h", "redis://g"]],
    ["another port", "a", "stream: a", ["redis://h", "redis://h:6380"]],
    ["another database", "a", "stream: a", ["redis://h", "redis://h/1"]],
    ["another master", "a", "stream: a", ["redis-sentinel://h/m", "redis-sentinel://h/n"]],
    ["a partition that it has not", "a:{3}", "stream: a, partitions: 3", ["redis://h", "redis://h"]],
    [
      "a template that nobody can tell of",
      "cdc.a",
      "stream: 'cdc.$${source.table}'",
      ["redis://h", "redis://h"],
    ],
  ])("is not one with %s", (_case, source, sink, uris) => {
    expect(copy(source, sink, uris)).toEqual([]);
  });

  it.each([
    "stream: a, dead_letters: { stream: a }",
    "stream: a, partitions: 2, dead_letters: { stream: 'a:{1}' }",
  ])("is refused where its dead letters would stand among the events: %s", (sink) => {
    expect(problemsOf(`sinks: [{ type: redis, config: { id: c, uri: redis://h, ${sink} } }]`)).toEqual([
      expect.stringMatching(
        /sinks\[0\]\.config: found .* as the stream of the dead letters and of the events/,
      ),
    ]);
  });
});
