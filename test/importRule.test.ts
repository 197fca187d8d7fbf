import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as t from "io-ts";
import { afterAll, describe, expect, it } from "vitest";

const biome = createRequire(import.meta.url).resolve("@biomejs/biome/bin/biome");
const folder = mkdtempSync(join(tmpdir(), "rxadd-imports-"));
const Report = t.type({
  diagnostics: t.array(
    t.type({
      category: t.string,
      location: t.type({ path: t.string, start: t.type({ line: t.number }) }),
    }),
  ),
});

/** Who imports what, by file. */
type Imports = Readonly<Record<string, readonly string[]>>;

const forbidden: Imports = {
  "operators/batch.ts": [
    "ioredis",
    "node:events",
    "io-ts",
    "prom-client",
    "../src/entry.ts",
    "../src/redis/connection.ts",
  ],
  "src/changeEvent.ts": ["ioredis", "./redis/connection.ts", "./redisSink.ts", "./cli/log.ts"],
  "src/checkpoint.ts": ["./sources/lines.ts"],
  "src/errors/thrown.ts": ["ioredis", "../sinkError.ts"],
  "src/lsn.ts": ["./sources/postgres/index.ts"],
  "src/positions.ts": ["./config/config.ts", "./lane.ts"],
  "src/sinkError.ts": ["./redis/redisError.ts"],
  "src/source.ts": ["./sources/fromIterable.ts", "./replicate.ts"],
  "src/status.ts": ["./metrics/index.ts", "./dashboard/index.ts"],
  "src/redisSink.ts": ["ioredis", "ioredis/built/Redis.js", "./cli/log.ts", "./testing/index.ts"],
  "src/redis/connection.ts": [
    "../config/config.ts",
    "../metrics/index.ts",
    "../redisSink.ts",
    "../sinkOptions.ts",
    "../sources/lines.ts",
    "../cli/log.ts",
    "../dashboard/index.ts",
    "../consumer/index.ts",
    "../../src/redisSink.ts",
  ],
  "src/config/config.ts": [
    "ioredis",
    "../redis/connection.ts",
    "../metrics/index.ts",
    "../redisSink.ts",
    "../sources/postgres/index.ts",
    "../cli/log.ts",
  ],
  "src/metrics/sinkMetrics.ts": [
    "ioredis",
    "../redis/connection.ts",
    "../config/config.ts",
    "../redisSink.ts",
    "../dashboard/index.ts",
    "../consumer/index.ts",
    "../cli/log.ts",
  ],
  "src/sources/lines.ts": ["ioredis", "../redis/connection.ts", "../cli/log.ts", "../testing/index.ts"],
  "src/sources/postgres/prepare.ts": ["ioredis", "../../redis/connection.ts", "../../cli/log.ts"],
  "src/consumer/streamEntries.ts": ["ioredis", "../cli/log.ts", "../testing/fakeRedis.ts"],
  "src/testing/fakeRedis.ts": ["ioredis", "../cli/log.ts"],
  "src/cli/main.ts": ["ioredis"],
  "examples/demo/demo.ts": ["../../src/cli/log.ts"],
  "bench/bench.ts": ["../src/cli/log.ts"],
};

const allowed: Imports = {
  "operators/batch.ts": ["rxjs", "rxjs/testing", "fp-ts/lib/Option.js", "./flow.ts"],
  "src/changeEvent.ts": ["./lsn.ts"],
  "src/errors/withoutSecrets.ts": ["./thrown.ts"],
  "src/sinkError.ts": ["./errors/withoutSecrets.ts"],
  "src/positions.ts": ["io-ts", "fp-ts/lib/Ord.js", "./lsn.ts", "./sinkError.ts"],
  "src/source.ts": ["rxjs", "../operators/flow.ts"],
  "src/redisSink.ts": ["./redis/connection.ts", "./lanes.ts", "../operators/batch.ts"],
  "src/redis/connection.ts": [
    "ioredis",
    "./scripts.ts",
    "../sinkError.ts",
    "../errors/thrown.ts",
    "../../operators/retryBackoff.ts",
  ],
  "src/config/config.ts": ["yaml", "io-ts", "./codecs.ts", "../redactUri.ts"],
  "src/metrics/sinkMetrics.ts": ["prom-client", "../sinkReport.ts", "../status.ts", "./retryCauses.ts"],
  "src/sources/ndjson.ts": ["../source.ts", "../positions.ts", "../../operators/flow.ts", "./lines.ts"],
  "src/sources/postgres/prepare.ts": ["pg", "../../lsn.ts", "../../../operators/retryBackoff.ts"],
  "src/consumer/streamEntries.ts": ["../redis/connection.ts"],
  "src/testing/fakeRedis.ts": ["rxjs/testing", "./memoryRedis.ts", "../redis/publisher.ts"],
  "src/cli/main.ts": ["commander", "./log.ts", "../config/loadConfig.ts", "../replicate.ts"],
  "test/support/redisServer.ts": ["ioredis"],
  "bench/contenders.ts": ["ioredis", "../src/redisSink.ts"],
};

function flat(imports: Imports): readonly (readonly [file: string, specifier: string])[] {
  return Object.entries(imports).flatMap(([file, specifiers]) =>
    specifiers.map((specifier) => [file, specifier] as const),
  );
}

/** Writes each import on a line of its own and returns those that the project's biome.json refuses. */
function refused(lineOf: (specifier: string) => string, imports: Imports): ReadonlySet<string> {
  const root = mkdtempSync(join(folder, "project-"));
  copyFileSync(fileURLToPath(new URL("../biome.json", import.meta.url)), join(root, "biome.json"));
  for (const [file, specifiers] of Object.entries(imports)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), `${specifiers.map(lineOf).join("\n")}\n`);
  }
  const { stdout } = spawnSync(
    process.execPath,
    [
      biome,
      "lint",
      "--only=style/noRestrictedImports",
      "--vcs-enabled=false",
      "--max-diagnostics=none",
      "--reporter=json",
    ],
    { cwd: root, encoding: "utf8" },
  );
  const report: unknown = JSON.parse(stdout);
  if (!Report.is(report)) throw new Error(`found ${stdout}, expected the report of biome lint`);
  return new Set(
    report.diagnostics
      .filter(({ category }) => category === "lint/style/noRestrictedImports")
      .map(({ location: { path, start } }) => `${path} ${imports[path]?.[start.line - 1]}`),
  );
}

const importing = (specifier: string) => `import "${specifier}";`;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

// The arrows are the overrides of style/noRestrictedImports in biome.json. Of several overrides that
// fit a file only the last one counts, so each of them has to be complete.
describe("the import rule", () => {
  const found = refused(importing, forbidden);
  it.each(flat(forbidden))("%s may not import %s", (file, specifier) => {
    expect(found).toContain(`${file} ${specifier}`);
  });

  const foundAllowed = refused(importing, allowed);
  it.each(flat(allowed))("%s may import %s", (file, specifier) => {
    expect(foundAllowed).not.toContain(`${file} ${specifier}`);
  });

  it.each([
    ["a type", (name: string) => `import type { A } from "${name}";`],
    ["a name", (name: string) => `import { A } from "${name}";`],
    ["what it exports again", (name: string) => `export { A } from "${name}";`],
    ["all that it exports again", (name: string) => `export * from "${name}";`],
    ["a module when asked", (name: string) => `await import("${name}");`],
  ] as const)("sees who imports %s", (_, lineOf) => {
    expect(refused(lineOf, { "src/lane.ts": ["ioredis"] })).toEqual(new Set(["src/lane.ts ioredis"]));
  });
});
