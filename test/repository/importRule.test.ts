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
  "operators/batch.ts": ["ioredis", "node:events", "io-ts", "prom-client", "../src/redis/client.ts"],
  "src/consumer/acknowledge.ts": [
    "ioredis",
    "ioredis/built/Redis.js",
    "../cli/log.ts",
    "../testing/index.ts",
  ],
  "src/cli/main.ts": ["ioredis"],
  "examples/demo/demo.ts": ["../../src/cli/log.ts"],
  "bench/bench.ts": ["../src/cli/log.ts"],
};

const allowed: Imports = {
  "operators/batch.ts": ["rxjs", "rxjs/testing", "fp-ts/lib/Option.js", "./flow.ts"],
  "src/redis/connect/client.ts": ["ioredis"],
  "src/cli/main.ts": ["commander", "./log.ts", "../config/loadConfig.ts"],
  "test/support/redisServer.ts": ["ioredis"],
};

function flat(imports: Imports): readonly (readonly [file: string, specifier: string])[] {
  return Object.entries(imports).flatMap(([file, specifiers]) =>
    specifiers.map((specifier) => [file, specifier] as const),
  );
}

/** Writes each import on a line of its own and returns those that the project's biome.json refuses. */
function refused(lineOf: (specifier: string) => string, imports: Imports): ReadonlySet<string> {
  const root = mkdtempSync(join(folder, "project-"));
  copyFileSync(fileURLToPath(new URL("../../biome.json", import.meta.url)), join(root, "biome.json"));
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
    expect(refused(lineOf, { "src/config/a.ts": ["ioredis"] })).toEqual(new Set(["src/config/a.ts ioredis"]));
  });
});
