import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import * as t from "io-ts";
import { afterAll, describe, expect, it } from "vitest";
import { importRule, importRuleFile, mayImport, rooms } from "../../scripts/rooms.mjs";

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

/** Every package that some room may import. */
const packages = [...new Set(Object.values(rooms).flatMap(({ packages }) => packages))].map((name) =>
  name === "node:*" ? "node:fs/promises" : name,
);
const isOperators = (room: string) => room === "operators";
const packagesOf = (room: string) =>
  (rooms[room]?.packages ?? []).map((name) => (name === "node:*" ? "node:fs/promises" : name));

/** What each room imports, from a file of its own and from one in a folder of its own, by whether it may. */
function importsOf(isAllowed: boolean): Imports {
  return Object.fromEntries(
    Object.keys(rooms).flatMap((room) => {
      const folders = isOperators(room) ? ["operators"] : [`src/${room}`, `src/${room}/within`];
      const chosen = packages.filter((name) => packagesOf(room).includes(name) === isAllowed);
      const others = Object.keys(rooms).filter(
        (other) => other !== room && mayImport(room, other) === isAllowed,
      );
      return folders.map((folder) => {
        const paths = others.map((other) =>
          posix.relative(folder, isOperators(other) ? "operators/some.ts" : `src/${other}/some.ts`),
        );
        const mine = isAllowed
          ? ["./sibling.ts"]
          : isOperators(room)
            ? []
            : [posix.relative(folder, "src/index.ts")];
        return [`${folder}/some.ts`, [...chosen, ...paths, ...mine]] as const;
      });
    }),
  );
}

const forbidden: Imports = {
  ...importsOf(false),
  "src/sink/other.ts": ["ioredis/built/Redis.js", "../../src/cli/log.ts"],
  "src/index.ts": ["ioredis", "./cli/main.ts"],
  "examples/demo/demo.ts": ["../../src/cli/log.ts"],
  "bench/bench.ts": ["../src/cli/log.ts"],
};

const allowed: Imports = {
  ...importsOf(true),
  "operators/other.ts": ["rxjs/testing", "fp-ts/lib/Option.js"],
  "src/index.ts": ["./sink/redisSink.ts", "../operators/flow.ts"],
  "test/kit/servers/redisServer.ts": ["ioredis"],
  "bench/contenders.ts": ["ioredis", "../src/sink/redisSink.ts"],
};

function flat(imports: Imports): readonly (readonly [file: string, specifier: string])[] {
  return Object.entries(imports).flatMap(([file, specifiers]) =>
    specifiers.map((specifier) => [file, specifier] as const),
  );
}

/** Writes each import on a line of its own and returns those that the project's biome.json refuses. */
function refused(lineOf: (specifier: string) => string, imports: Imports): ReadonlySet<string> {
  const root = mkdtempSync(join(folder, "project-"));
  mkdirSync(join(root, "scripts"));
  for (const file of ["biome.json", "scripts/importRule.json"])
    copyFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), join(root, file));
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

// Of several overrides that fit a file only the last one counts, so each of them has to be complete.
describe("the import rule", () => {
  it("is the one that src/rooms.json says: npm run fix writes it", () => {
    expect(JSON.parse(readFileSync(importRuleFile, "utf8"))).toEqual({ overrides: importRule() });
  });

  it("has a floor for each folder of src/, and a folder for each room", () => {
    const folders = readdirSync(new URL("../../src/", import.meta.url), { withFileTypes: true });
    expect(folders.filter((entry) => entry.isDirectory()).map(({ name }) => name)).toEqual(
      Object.keys(rooms)
        .filter((room) => !isOperators(room))
        .sort(),
    );
  });

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
