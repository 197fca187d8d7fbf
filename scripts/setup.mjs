// Brings what a bare machine lacks before a demo, a test or a bench: the packages, the build, a Redis.
// Plain Node and nothing else, because it runs before there is anything else.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

function fail(text) {
  process.stderr.write(`setup: ${text}\n`);
  process.exit(1);
}

/** Runs a command quietly; shows what it said only if it failed. */
function run(command, args, { env = {} } = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, ...env },
    maxBuffer: 64 * 1024 * 1024,
  });
  return { ok: status === 0, output: error ? error.message : `${stdout}${stderr}` };
}

function runOrFail(command, args, advice, options) {
  const { ok, output } = run(command, args, options);
  if (!ok) fail(`${command} ${args.join(" ")} failed.\n${output}\n${advice}`);
}

function isOnPath(program) {
  return run("sh", ["-c", `command -v ${program}`]).ok;
}

function installPackages() {
  const lock = join(root, "package-lock.json");
  const installed = join(root, "node_modules", ".package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  say("installing the npm packages");
  runOrFail("npm", ["ci", "--no-audit", "--no-fund"], "Check the network, then run it again.");
}

function build() {
  runOrFail("npm", ["run", "--silent", "build"], "Mend the errors above, then run it again.");
}

/** True if Debian's packages are there now. */
function installWithApt(...names) {
  if (!isOnPath("apt-get") || process.getuid?.() !== 0) return false;
  const isThere = (name) => run("dpkg", ["-s", name]).output.includes("Status: install ok installed");
  const missing = names.filter((name) => !isThere(name));
  if (missing.length === 0) return true;
  say(`installing ${missing.join(", ")} with apt`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  run("apt-get", ["update", "-qq"], { env });
  return run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing], { env }).ok;
}

/** With `--or-redis-uri` the caller's `REDIS_URI`; else a server on PATH, Debian's, or one built from source. */
function provideRedis() {
  if (process.env.REDIS_URI && process.argv.includes("--or-redis-uri")) return;
  if (isOnPath("redis-server") || isOnPath("valkey-server")) return;
  const mark = join(root, "node_modules", ".cache", "redis-server");
  if (existsSync(mark) && existsSync(readFileSync(mark, "utf8"))) return;
  if (installWithApt("redis-server")) return;
  say("building redis-server from source (a few minutes)");
  const folder = join(root, "node_modules", ".cache", "redis-memory-server");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const built =
    run("npm", ["install", "--prefix", folder, "--no-audit", "--no-fund", "redis-memory-server@0.17"]).ok &&
    run("node", [
      "--input-type=module",
      "-e",
      `import { createRequire } from "node:module";
       const require = createRequire(${JSON.stringify(join(folder, "package.json"))});
       const { default: RedisBinary } = require("redis-memory-server/lib/util/RedisBinary");
       require("node:fs").writeFileSync(${JSON.stringify(mark)}, await RedisBinary.getPath());`,
    ]).ok;
  if (!built) {
    fail("no Redis found. Install one: apt-get install redis-server on Debian, brew install redis on macOS.");
  }
}

/**
 * For the tests alone: one of them sets a server's clock, some run consumers in Python, some look at the dashboard in
 * a browser, some ask promtool about alerts. Where one is missing those are skipped.
 */
function provideTestTools() {
  if (!process.argv.includes("--or-redis-uri")) installWithApt("libfaketime", "python3-redis", "chromium");
}

/** Out of Debian's package of Prometheus, which itself would start a server. */
function providePromtool() {
  const folder = join(root, "node_modules", ".cache", "promtool");
  const isThere = isOnPath("promtool") || existsSync(join(folder, "promtool"));
  if (isThere || process.argv.includes("--or-redis-uri") || !isOnPath("apt-get")) return;
  say("fetching promtool with apt");
  mkdirSync(folder, { recursive: true });
  run("sh", [
    "-c",
    'cd "$1" && apt-get download -qq prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xO ./usr/bin/promtool > promtool.part && chmod +x promtool.part && mv promtool.part promtool; rm -f prometheus_*.deb',
    "sh",
    folder,
  ]);
}

installPackages();
provideRedis();
provideTestTools();
providePromtool();
build();
