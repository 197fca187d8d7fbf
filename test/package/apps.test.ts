import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, describe, expect, it } from "vitest";
import { named, packageJson, packed } from "../kit/program/packed.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

const { project, remove } = packed();
afterAll(remove);
const redis = emptyRedis();

const peers = ["ioredis", "prom-client", "rxjs"] as const;
const least = {
  ...Object.fromEntries(peers.map((name) => [name, `${name}-least`])),
  ...named("@types/node"),
};
const newest = named(...peers, "@types/node");

const require = createRequire(import.meta.url);
const tscOf = (name: string, by = require) => join(dirname(by.resolve(`${name}/package.json`)), "bin", "tsc");
/** Some versions are there as what tools of ours stand on. */
const tscUnder = (tool: string) => tscOf("typescript", createRequire(require.resolve(tool)));
const compilers = {
  oldest: tscOf("typescript-least"),
  before58: tscUnder("@arethetypeswrong/core"),
  six: tscUnder("@microsoft/api-extractor"),
  newest: tscOf("typescript"),
};

const app = fileURLToPath(new URL("app.ts", import.meta.url));

/** What a program says in a folder; fails with that if it fails. */
function run(cwd: string, args: readonly string[]): Promise<string> {
  const options = { cwd, env: { ...process.env, REDIS_URI: redis.uri } };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${stdout}${stderr}`));
    });
  });
}

/** Compiles a file of a project, as strictly as can be. */
const compile = (cwd: string, compiler: keyof typeof compilers, ...flags: readonly string[]) =>
  run(cwd, [
    compilers[compiler],
    ...["--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--types", "node"],
    ...flags,
  ]);

const nodenext = ["--module", "nodenext"];
const node16 = ["--module", "node16"];
const bundler = ["--module", "es2022", "--moduleResolution", "bundler"];

const done = {
  ...{ events: 2, length: 2, copied: "3", batches: 2, source: "function" },
  ...{ handled: ["10", "20"], counted: true, served: true },
};

describe("an app that has installed the package", () => {
  it("is tried with the least versions that the package asks for", () => {
    for (const name of peers) {
      const { version } = require(`${name}-least/package.json`);
      expect(packageJson.peerDependencies[name]).toMatch(
        new RegExp(`^\\^${version.replace(/\.0$/, "(\\.0)?")}`),
      );
    }
  });

  // As a CommonJS module it is known from TypeScript 5.8 on.
  it.each([
    ["ES modules, TypeScript 5.0, the least versions of its peers", "mts", least, "oldest", []],
    ["CommonJS, TypeScript 7, the least versions of its peers", "cts", least, "newest", []],
    ["ES modules, TypeScript 7, the newest versions", "mts", newest, "newest", []],
    ["CommonJS, TypeScript 6, the newest versions", "cts", newest, "six", ["--skipLibCheck"]],
  ] as const)("publishes, consumes and counts: %s", async (_what, extension, packages, compiler, flags) => {
    const cwd = project(packages);
    copyFileSync(app, join(cwd, `app.${extension}`));

    await compile(cwd, compiler, ...nodenext, ...flags, `app.${extension}`);
    const said = await run(cwd, [`app.${extension.replace("t", "j")}`]);

    expect(JSON.parse(said)).toEqual(done);
  });

  it.each([
    ["TypeScript 5.0, node16", "oldest", node16],
    ["TypeScript 5.0, bundler", "oldest", bundler],
    ["TypeScript 5.6, nodenext", "before58", nodenext],
    ["TypeScript 6, bundler", "six", bundler],
    ["TypeScript 7, node16", "newest", node16],
    ["TypeScript 7, bundler", "newest", bundler],
  ] as const)("compiles with %s", async (_what, compiler, flags) => {
    const cwd = project(least);
    copyFileSync(app, join(cwd, "app.ts"));

    await compile(cwd, compiler, "--noEmit", "--skipLibCheck", ...flags, "app.ts");
  });

  it.each([
    ["5.0", "oldest"],
    ["7", "newest"],
  ] as const)(
    "is told by TypeScript %s what is missing, in words that it knows",
    async (_version, compiler) => {
      const cwd = project(newest);
      writeFileSync(
        join(cwd, "mistakes.ts"),
        `import { redisSink } from "rxadd";
import { groupDeliveries } from "rxadd/consumer";
declare const client: { isOpen: boolean; sendCommand(args: readonly string[]): Promise<string>; duplicate(): object; on(name: string, listener: () => void): object };
redisSink({ id: "a", stream: "s" });
groupDeliveries({ stream: "s", group: "g" });
redisSink({ id: "a", stream: "s", connection: client });
groupDeliveries({ stream: "s", group: "g", connection: client });
redisSink({ id: "a", stream: "s", connection: { host: "h", port: 6379 } });
`,
      );

      const said = await compile(
        cwd,
        compiler,
        "--noEmit",
        "--skipLibCheck",
        ...nodenext,
        "mistakes.ts",
      ).catch((error: Error) => error.message);

      const lines = said.split(/^(?=mistakes\.ts)/m);
      expect(lines).toHaveLength(5);
      for (const line of lines.slice(0, 2)) expect(line).toContain("Property 'uri' is missing");
      expect(lines[2]).toMatch(/missing the following .* 'RedisConnection': status, isCluster/);
      // It may be a fake as well.
      expect(lines[3]).toMatch(/'(Redis|Sink)Connection'/);
      expect(lines[4]).toContain("'host' does not exist in type 'SinkConnection'");
      expect(said).not.toContain("FakeServer");
    },
  );
});

describe("Jest", () => {
  it("runs it with the one setting that docs/installing.md names", async () => {
    const page = readFileSync(fileURLToPath(new URL("../../docs/installing.md", import.meta.url)), "utf8");
    const [, setting = ""] = /^```json\n(\{ "jest": .*?)```/ms.exec(page) ?? [];
    const cwd = project({ ...newest, ...named("jest", "esbuild") });
    writeFileSync(
      join(cwd, "package.json"),
      JSON.stringify({
        jest: {
          testRegex: "\\.spec\\.ts$",
          // Makes CommonJS of TypeScript and JavaScript, as ts-jest does.
          transform: { "^.+\\.(t|j)s$": "./transform.cjs" },
          ...JSON.parse(setting).jest,
        },
      }),
    );
    writeFileSync(
      join(cwd, "transform.cjs"),
      `const { transformSync } = require("esbuild");
exports.process = (text) => transformSync(text, { format: "cjs", loader: "ts", target: "es2022" });
`,
    );
    writeFileSync(
      join(cwd, "orders.spec.ts"),
      `import { from, lastValueFrom } from "rxjs";
import { redisSink } from "rxadd";
import { acknowledge } from "rxadd/consumer";
import { sinkMetrics } from "rxadd/metrics";
import { fakeRedis } from "rxadd/testing";

it("publishes", async () => {
  const connection = fakeRedis({ latencyMs: 0 });
  const observers = sinkMetrics({ pipeline: "shop", sink: "orders" });
  await lastValueFrom(from([{ id: "a" }]).pipe(redisSink({ id: "orders", connection, stream: "orders", observers })));
  expect(connection.events("orders")).toEqual(['{"id":"a"}']);
  expect(typeof acknowledge).toBe("function");
});
`,
    );

    await run(cwd, [require.resolve("jest/bin/jest"), "--no-cache", "--no-watchman", "--ci"]);
  });
});

describe("a bundle for browsers", () => {
  it.each(["rxadd/operators", "rxadd/testing"])("can hold %s", async (name) => {
    const cwd = project(named("rxjs"));
    mkdirSync(join(cwd, "src"));
    const stdin = { contents: `export * from "${name}";`, resolveDir: join(cwd, "src") };

    const { warnings } = await build({
      stdin,
      bundle: true,
      platform: "browser",
      write: false,
      logLevel: "silent",
    });

    expect(warnings).toEqual([]);
  });
});
