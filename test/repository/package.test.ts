import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { afterAll, describe, expect, it } from "vitest";
import { program } from "../kit/program/cli.ts";
import { named, packageJson, packed, requiredPeers } from "../kit/program/packed.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const names = Object.keys(packageJson.exports)
  .filter((path) => !path.endsWith(".json"))
  .map((path) => path.replace(/^\./, "rxadd"));

const { tarball, project: newProject, remove } = packed();
afterAll(remove);
/** A project that has installed the package, and all that is there. */
const project = newProject(
  named(...readdirSync(join(root, "node_modules")).filter((name) => !name.startsWith("."))),
);

function run(program: string, args: readonly string[], cwd = project): string {
  return execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** What it exports by a name, to an ES module that imports nothing else; asked once. */
const importedBy = new Map<string, string>();
function imported(name: string): string {
  const code = `console.log(Object.keys(await import("${name}")).join())`;
  const found = importedBy.get(name) ?? run(process.execPath, ["--input-type=module", "-e", code]);
  importedBy.set(name, found);
  return found;
}

describe("the packed package", () => {
  it.each(names)("can be imported and required as %s in plain Node", (name) => {
    const required = run(process.execPath, [
      "--input-type=commonjs",
      "-e",
      `console.log(Object.keys(require("${name}")).join())`,
    ]);

    expect(imported(name).trim()).not.toBe("");
    expect(required).toBe(imported(name));
  });

  it("exports just the names that are promised", () => {
    const exported = names.map((name) => [name, imported(name).trim().split(",").sort().join(" ")]);

    expect(Object.fromEntries(exported)).toMatchInlineSnapshot(`
      {
        "rxadd": "Skipped encoderOf fanOut fromAsyncIterable fromIterable fromReadable isLsn isRetryable isRxaddError isSinkError keepPositions ordLsn partitionOf pipeSource positionsIn positionsOf publisher redisSink replicate standardPositions statusLogger",
        "rxadd/admin": "claimEntries createGroup deleteEntries destroyGroup groupPending pendingEntries redrive removeConsumer setGroup streamGroups streamInfo streamLength trimAcknowledged trimStream",
        "rxadd/consumer": "Effects acknowledge acknowledgeBatch claimEntries createGroup deadLetter deduplicate deleteEntries destroyGroup eachDelivery effects entryCopies entryPositions giveBack groupDeliveries groupPending groupStatus inTransaction memoryGroup pendingEntries redrive removeConsumer retryIn setGroup streamEntries streamGroups streamInfo streamLength streamSource trimAcknowledged trimStream watchGroup",
        "rxadd/dashboard": "dashboard dashboardHandler watchSink",
        "rxadd/metrics": "consumerMetrics health redisMetrics serveMetrics sinkHealth sinkMetrics snapshotMetrics streamMetrics",
        "rxadd/operators": "BufferOverflow UnfinishedTransaction acknowledgedWithin backoffMs batch boundedBuffer checkpoint inFlight retryBackoff spread toAsyncIterable",
        "rxadd/sources/postgres": "backfill outbox postgresChanges",
        "rxadd/sources/redis": "entryCopies entryPositions streamSource",
        "rxadd/testing": "fakeGroup fakeRedis",
      }
    `);
  });

  it.each(["rxadd", "rxadd/operators", "rxadd/testing"])("can be bundled for a browser: %s", (name) => {
    const contents = `import * as all from "${name}"; console.log(Object.keys(all).sort().join(" "));`;
    const outfile = join(project, "bundled.mjs");
    const options = { bundle: true, platform: "browser", format: "esm", outfile } as const;

    const { warnings } = buildSync({ ...options, stdin: { contents, resolveDir: project } });

    expect(warnings).toEqual([]);
    const bundled = run(process.execPath, [outfile]).trim();
    const all = imported(name).trim().split(",").sort();
    // They speak to Redis, and read from streams of Node.
    expect(bundled.split(" ")).toEqual(all.filter((name) => name !== "redisSink" && name !== "fromReadable"));
  });

  it("has types that a strict project can check", () => {
    writeFileSync(
      join(project, "app.ts"),
      `import { from } from "rxjs";
import { type ChangeEvent, type Row, type Checkpoint, type Lsn, redisSink, replicate } from "rxadd";
import { acknowledge, type Acknowledged, groupDeliveries, watchGroup } from "rxadd/consumer";
import { batch } from "rxadd/operators";
import { postgresChanges } from "rxadd/sources/postgres";
import { fakeRedis } from "rxadd/testing";

const events: ChangeEvent<Row, number>[] = [];
from(events)
  .pipe(redisSink({ id: "a", uri: "redis://h", stream: "s" }))
  .subscribe((checkpoint: Checkpoint<number>) => console.log(checkpoint.position));

from([{ offset: 1n, text: "x" }]).pipe(
  redisSink({ id: "a", uri: "redis://h", stream: ({ text }) => text, event: { position: ({ offset }) => offset } }),
);
from([1]).pipe(batch({ maxItems: 2 }));
from(events).pipe(redisSink({ id: "a", connection: fakeRedis({ replies: "m 3s o" }), stream: "s" }));
groupDeliveries({ connection: fakeRedis(), stream: "s", group: "g" });
// @ts-expect-error what looks at a group needs a real one
watchGroup({ connection: fakeRedis(), stream: "s", group: "g" });
groupDeliveries<{ n: number }>({ uri: "redis://h", stream: "s", group: "g" })
  .pipe(acknowledge(async ({ n }) => n + 1))
  .subscribe(({ result }: Acknowledged<{ n: number }, number>) => console.log(result?.toFixed()));
replicate({
  source: postgresChanges({ connectionString: "postgres://h" }),
  sink: redisSink({ id: "a", uri: "redis://h", stream: "s" }),
}).subscribe();

// @ts-expect-error a sink needs a stream
from(events).pipe(redisSink({ id: "a", uri: "redis://h" }));
`,
    );
    const flags = [
      "--noEmit",
      "--strict",
      "--exactOptionalPropertyTypes",
      "--module",
      "nodenext",
      "--target",
      "es2022",
      "--types",
      "node",
      "--lib",
      "es2023",
    ];

    run(process.execPath, [join(root, "node_modules", "typescript", "bin", "tsc"), ...flags, "app.ts"]);
  });

  const filesIn = () => run("tar", ["-tzf", tarball]).trim().split("\n");

  it("holds nothing but what is built and what is said of it, and no source outside it", () => {
    const known = /^package\/(dist\/|docs\/|package\.json|README\.md|LICENSE)/;

    expect(filesIn().filter((file) => !known.test(file))).toEqual([]);
  });

  it("has the pages that its README leads to, and what to watch it with", () => {
    const readme = run("tar", ["-xzOf", tarball, "package/README.md"]);
    const linked = [...readme.matchAll(/\]\((docs\/[^)#]+)/g)].map(([, path]) => `package/${path}`);
    const files = filesIn();

    expect(linked.length).toBeGreaterThan(20);
    expect(linked.filter((path) => !files.some((file) => file.startsWith(path)))).toEqual([]);
    expect(files).toContain("package/docs/monitoring/grafana.json");
    expect(files).toContain("package/docs/monitoring/alerts.yaml");
  });

  it("is well-formed for publint and for Are the types wrong", () => {
    run(join(root, "node_modules", ".bin", "publint"), ["run", "--strict", tarball]);
    run(join(root, "node_modules", ".bin", "attw"), [tarball, "--profile", "esm-only"]);
  });
});

describe("the packed command, in a project that has installed nothing else", () => {
  const redis = emptyRedis();
  const alone = newProject(requiredPeers);

  function command(...args: readonly string[]) {
    const main = join(alone, "node_modules", "rxadd", "dist", "src", "cli", "main.js");
    return program([main, ...args], "", { REDIS_URI: redis.uri });
  }

  function config(name: string, text: string): string {
    const file = join(alone, name);
    writeFileSync(file, text);
    return file;
  }

  it("tells its version", async () => {
    const run = command("--version");
    expect(await run.ended).toBe(0);
    expect(run.stdout()).toBe("0.1.0\n");
  });

  it("publishes, reads and checks", async () => {
    const sinks = config(
      "sinks.yaml",
      "sinks: [{ type: redis, config: { id: a, uri: '${REDIS_URI}', stream: s } }]\n",
    );
    const lines = config("events.ndjson", '{"n":1}\n');

    const checking = command("check", sinks);
    expect(await checking.ended).toBe(0);
    const publishing = command("pipe", "--config", sinks, "--input", lines);
    expect(await publishing.ended).toBe(0);
    const reading = command("consume", "--stream", "s", "--group", "g");
    await reading.says('"event":{"n":1}}');
    reading.child.kill("SIGTERM");
    expect(await reading.ended).toBe(0);
  });

  it.each(["replicate", "check"])(
    "says what a PostgreSQL source needs, with exit code 2: %s",
    async (verb) => {
      const file = config(
        "postgres.yaml",
        "source: { type: postgres, config: { dsn: 'postgres://u@127.0.0.1/d' } }\nsinks: [{ type: redis, config: { id: a, uri: '${REDIS_URI}', stream: s } }]\n",
      );
      const run = verb === "check" ? command(verb, file) : command(verb, "--config", file);
      expect(await run.ended).toBe(2);
      expect(run.stdout() + run.stderr()).toContain("npm install pg");
      expect(run.stderr()).not.toContain("    at ");
    },
  );

  it("says what metrics need, and goes on without them where nobody asked for them", async () => {
    const lines = config("lines.ndjson", '{"n":1}\n');
    const sinks = config(
      "copied.yaml",
      `source: { type: ndjson, config: { path: '${lines}' } }\nsinks: [{ type: redis, config: { id: b, uri: '\${REDIS_URI}', stream: copied } }]\n`,
    );

    const asked = command("replicate", "--config", sinks, "--metrics-port", "0");
    expect(await asked.ended).toBe(2);
    expect(asked.stderr()).toBe("rxadd: metrics need a package: npm install prom-client\n");
    const unasked = command("replicate", "--config", sinks);
    expect(await unasked.ended).toBe(0);
    expect(unasked.stderr()).toContain(
      "rxadd: metrics need a package: npm install prom-client; goes on without them\n",
    );
  });

  it("imports without what only metrics and PostgreSQL need", () => {
    const others = names.filter((name) => !["rxadd/metrics", "rxadd/sources/postgres"].includes(name));
    const loading = others.map((name) => `await import("${name}");`).join("");

    run(process.execPath, ["--input-type=module", "-e", loading], alone);
  });
});

describe("package-lock.json", () => {
  // A registry that lacks a package for another platform makes npm leave it out here, and refuse it elsewhere.
  it("names each package that another one may need, for every platform", () => {
    const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
    const installed = Object.keys(packages);
    const missing = Object.entries<{ optionalDependencies?: object }>(packages).flatMap(
      ([path, { optionalDependencies = {} }]) =>
        Object.keys(optionalDependencies)
          .filter((name) => !installed.some((other) => other.endsWith(`node_modules/${name}`)))
          .map((name) => `${path} needs ${name}`),
    );

    expect(missing).toEqual([]);
  });

  it("names no registry", () => {
    expect(readFileSync(join(root, "package-lock.json"), "utf8")).not.toContain('"resolved"');
  });
});

describe("npm run bench", () => {
  it("prints one object a line, with each contender's ratio to the hand-written pipeline", () => {
    const output = run(
      process.execPath,
      ["--import", "tsx", "bench/bench.ts", "throughput", "--json", "--events", "2000", "--rounds", "1"],
      root,
    );
    const rows = output
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));

    expect(rows.find(({ name }) => name === "ioredis pipeline")).toMatchObject({ ratio: 1 });
    expect(rows.map(({ name }) => name)).toContain("rxadd");
    expect(rows.every((row) => row["events/s"] > 0 && row.ratio > 0)).toBe(true);
  });
});
