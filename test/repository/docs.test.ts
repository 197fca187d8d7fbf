import { execFile } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { isRight } from "fp-ts/lib/Either.js";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/loadConfig.ts";
import { type PostgresServer, startPostgres } from "../kit/servers/postgresServer.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import { codeBlocks } from "./codeBlocks.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
// Inside the project, so that `rxadd` is found by its own name.
const scratch = join(root, ".docs");
const pages = [
  "README.md",
  "examples/README.md",
  ...readdirSync(join(root, "docs"), { encoding: "utf8", recursive: true })
    .filter((name) => name.endsWith(".md"))
    .sort()
    .map((name) => `docs/${name}`),
];
const blocks = pages.flatMap(codeBlocks);
const execute = promisify(execFile);

/** Runs a program in the project; a failure is a result, too. */
async function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv) {
  try {
    return { ...(await execute(program, [...args], { cwd: root, env })), failure: "" };
  } catch (error) {
    const said = error instanceof Error && "stdout" in error ? `\n${error.stdout}` : "";
    return { stdout: "", stderr: "", failure: `${error}${said}` };
  }
}

let redis: RedisServer;
let postgres: PostgresServer;
let env: NodeJS.ProcessEnv;
beforeAll(async () => {
  [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(join(scratch, "bin"), { recursive: true });
  // As `npm install -g` links it.
  chmodSync(join(root, "dist", "src", "cli", "main.js"), 0o755);
  symlinkSync(join(root, "dist", "src", "cli", "main.js"), join(scratch, "bin", "rxadd"));
  env = {
    ...process.env,
    PATH: `${join(scratch, "bin")}${delimiter}${process.env.PATH}`,
    REDIS_URI: redis.uri,
    POSTGRES_URI: postgres.connectionString,
    PORT: "0",
  };
});
afterAll(async () => {
  await Promise.all([redis.stop(), postgres.stop()]);
  rmSync(scratch, { recursive: true, force: true });
});
beforeEach(async () => {
  await redis.client.flushall();
});

/** Runs TypeScript in a process of its own, as a file of the project. */
async function runTypeScript(source: string, loader: readonly string[] = []) {
  const file = join(scratch, `block-${Math.random()}.mjs`);
  // Types are checked for all of them at once; one after the other, tsx would take longer than they do.
  writeFileSync(file, (await transform(source, { loader: "ts", target: "node20" })).code);
  return run(process.execPath, [...loader, file], env);
}

function ofLanguage(language: string) {
  return blocks
    .filter((block) => block.language === language)
    .map((block) => [block.where, block.code, block.file] as const);
}

/** What runs a block: its own text, or the file that it shows, as the program that it is. */
function runnable(code: string, file: string | undefined): string {
  if (file === undefined) return code;
  const path = JSON.stringify(join(root, file));
  return `process.argv[1] = ${path};\nawait import(${path});\n`;
}

describe("the documentation", () => {
  it("has TypeScript that compiles under strict settings", async () => {
    const folder = join(scratch, "types");
    mkdirSync(folder);
    // Files are checked where they stand.
    for (const [where, code] of ofLanguage("ts").filter(([, , file]) => file === undefined))
      writeFileSync(join(folder, `${where.replace(/\W/g, "-")}.ts`), code);
    writeFileSync(
      join(folder, "tsconfig.json"),
      '{ "extends": "../../tsconfig.json", "compilerOptions": { "noUnusedLocals": false }, "include": ["*.ts"] }',
    );

    const { failure } = await run(join(root, "node_modules", ".bin", "tsc"), ["-p", folder], env);

    expect(failure).toBe("");
  });

  it.each(
    blocks.filter(({ file }) => file !== undefined).map(({ where, code, file = "" }) => [where, file, code]),
  )("shows at %s all of %s", (_where, file, code) => {
    expect(code).toBe(readFileSync(join(root, file), "utf8"));
  });

  it.each(ofLanguage("ts"))("runs the TypeScript at %s", async (_where, code, file) => {
    // What would run for ever is ended as its reader would.
    const ending = code.includes("SIGINT")
      ? "\nsetTimeout(() => process.kill(process.pid, 'SIGINT'), 1500);\n"
      : "";
    const loader = file === undefined ? [] : ["--import", "tsx"];

    const { stderr, failure } = await runTypeScript(runnable(code, file) + ending, loader);

    expect(failure).toBe("");
    expect(stderr).toBe("");
  });

  it("loses nothing when the README's first example runs twice: its events have no positions to be taken for a replay", async () => {
    const [, code = ""] = ofLanguage("ts").find(([where]) => where.startsWith("README.md")) ?? [];

    for (const entries of [2, 4]) {
      const { stdout } = await runTypeScript(code);
      expect(stdout).toContain("2 more events are safe");
      expect(await redis.client.xlen("orders.events")).toBe(entries);
    }
  });

  it.each(ofLanguage("sh").filter(([, code]) => !code.startsWith("npm")))(
    "runs the shell commands at %s",
    async (_where, code) => {
      const { failure } = await run("bash", ["-euo", "pipefail", "-c", code], env);

      expect(failure).toBe("");
    },
  );

  it.each(ofLanguage("sh").filter(([, code]) => code.startsWith("npm")))(
    "names only scripts that there are at %s",
    (_where, code) => {
      const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
      const named = [...code.matchAll(/^npm (?:run )?(?!install\b)(\w+)/gm)].map(([, name]) => name);
      expect(Object.keys(scripts)).toEqual(expect.arrayContaining(named));
    },
  );

  it.each(ofLanguage("yaml").filter(([, code]) => /^ *sinks:/m.test(code)))(
    "decodes the configuration at %s",
    (_where, code) => {
      const config = loadConfig(code, { REDIS_URI: redis.uri, POSTGRES_URI: postgres.connectionString });
      expect(isRight(config), JSON.stringify(config)).toBe(true);
    },
  );

  it.each(pages)("links only to what there is, in %s", (page) => {
    const text = readFileSync(join(root, page), "utf8");
    const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, target = ""]) => target);
    for (const target of links) expect(existsSync(join(root, page, "..", target)), target).toBe(true);
  });
});

describe("npm run demo", () => {
  it("replicates a shop, finds every committed change in the stream, and exits with 0", async () => {
    const own: NodeJS.ProcessEnv = { ...env };
    delete own.REDIS_URI;
    const { stdout } = await run(
      process.execPath,
      ["--import", "tsx", "examples/demo/demo.ts", "--seconds", "3"],
      own,
    );

    expect(stdout).toMatch(
      /✓ \d+ row changes in \d+ transactions: each stands in orders.events exactly once/,
    );
  });
});
