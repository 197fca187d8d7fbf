import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import { interval } from "rxjs";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { startProxy } from "../kit/network/tcpProxy.ts";
import { program, type Run, rxadd } from "../kit/program/cli.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

const redis = emptyRedis();
const main = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "rxadd-terminal-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hasScript = (() => {
  try {
    return execFileSync("script", ["--version"], { encoding: "utf8" }).includes("util-linux");
  } catch {
    return false;
  }
})();

function flags(uri = redis.uri): string[] {
  return ["--id", "orders-redis", "--uri", uri, "--stream", "orders.events"];
}

/** So many lines in a file. */
function lines(count: number): string {
  const file = join(folder, `${count}.ndjson`);
  writeFileSync(file, Array.from({ length: count }, (_, index) => `{"n":${index + 1}}\n`).join(""));
  return file;
}

/** Runs the command as a user does at a terminal of 100 columns; what it shows is its stdout. */
function atTerminal(args: readonly string[], then = ""): Run {
  const quoted = [process.execPath, main, ...args].map((arg) => `'${arg}'`).join(" ");
  // In place of the shell, which some have answer Ctrl-C themselves.
  const command = `stty cols 100; exec ${quoted} ${then}`;
  const shell = `require("node:child_process").spawn("script", ["-qefc", ${JSON.stringify(command)}, "/dev/null"], { stdio: "inherit" }).on("exit", (code) => process.exit(code))`;
  const run = program(["-e", shell], new PassThrough());
  onTestFinished(() => void run.child.kill("SIGKILL"));
  return run;
}

const bar = /[█░]{24} {2}[\d,]+ events, [\d,]+ events\/s, \d+ %/;
const checkpointStart = '{"sink":"copy"';
const checkpoint = /\{"sink":"orders-redis"/g;

describe.skipIf(!hasScript)("at a terminal (skipped where there is no script of util-linux)", () => {
  it("draws a bar, which stands in for all checkpoints but the last, and goes at the end", async () => {
    const run = atTerminal(["pipe", ...flags(), "--input", lines(300_000)]);
    expect(await run.ended).toBe(0);
    const shown = run.stdout();
    expect(shown).toMatch(bar);
    expect(shown).toMatch(/, \d+ s left/);
    expect(shown.match(checkpoint)).toHaveLength(1);
    // Cleared, then what is left on the screen.
    expect(shown.split("\x1b[0J").at(-1)?.trim().split("\r\n")).toEqual([
      expect.stringMatching(/^\{.*"position":300000,.*\}$/),
      "rxadd: done: 300000 events published, up to position 300000",
    ]);
  });

  it("shows no control characters of an entry, and the same JSON", async () => {
    const event = '{"a":"\u009b31m \x7f \u202e"}';
    await redis.client.xadd("s", "1-0", "event", event);
    const run = atTerminal(["consume", "--uri", redis.uri, "--stream", "s", "--from", "0-0"]);
    await run.says("}}");
    expect(run.stdout()).toContain('{"id":"1-0","event":{"a":"\\u009b31m \\u007f \\u202e"}}');

    run.child.stdin?.write("\x03");
    await run.ended;
  });

  it("draws no bar with --no-progress, and prints each checkpoint", async () => {
    const run = atTerminal(["pipe", ...flags(), "--no-progress", "--input", lines(3000)]);
    expect(await run.ended).toBe(0);
    expect(run.stdout()).not.toMatch(bar);
    expect(run.stdout().match(checkpoint)?.length).toBeGreaterThan(1);
  });

  it("keeps all checkpoints where they go into a file", async () => {
    const file = join(folder, "checkpoints");
    const run = atTerminal(["pipe", ...flags(), "--input", lines(50_000)], `> '${file}'`);
    expect(await run.ended).toBe(0);
    expect(run.stdout()).toMatch(bar);
    const count = execFileSync("wc", ["-l", file], { encoding: "utf8" });
    expect(Number.parseInt(count, 10)).toBeGreaterThan(50);
  });

  it("shows what happens above the bar, and goes on with it", async () => {
    const proxy = await startProxy(redis.port);
    onTestFinished(() => proxy.stop());
    const run = atTerminal(["pipe", ...flags(proxy.uri), "--input", lines(300_000)]);
    await run.says(" %");
    await proxy.refuse();
    await run.says("attempt 1 failed");
    await proxy.restore();
    expect(await run.ended).toBe(0);
    const [, after = ""] = run.stdout().split("publishing again");
    expect(after).toMatch(bar);
    expect(run.stdout()).toMatch(/rxadd: attempt 1 failed, trying again in \d+ ms: [^\r\n]+\r?\n/);
    expect(await redis.client.xlen("orders.events")).toBe(300_000);
  });

  it("draws one bar for pipelines side by side, and leaves the last checkpoint of each", async () => {
    const pipeline = (name: string, count: number) => `pipeline: ${name}
source: { type: ndjson, config: { path: "${lines(count)}" } }
sinks: [{ type: redis, config: { id: orders-redis, uri: "${redis.uri}", stream: ${name} } }]
`;
    const config = join(folder, "two.yaml");
    writeFileSync(config, `${pipeline("shop", 300_000)}---\n${pipeline("staff", 100_000)}`);
    const run = atTerminal(["replicate", "--config", config, "--metrics-port", "0"]);
    expect(await run.ended).toBe(0);
    const shown = run.stdout();
    expect(shown).toMatch(/[\d,]+ events, [\d,]+ events\/s, shop \d+ %, staff \d+ %/);
    expect(shown).toMatch(/[█░]{24} {2}shop: [\d,]+ events/);
    const left = shown.split("\x1b[0J").at(-1)?.trim().split("\r\n") ?? [];
    expect(left.filter((line) => line.startsWith("{")).sort()).toEqual([
      expect.stringMatching(/^\{"pipeline":"shop",.*"position":300000,.*\}$/),
      expect.stringMatching(/^\{"pipeline":"staff",.*"position":100000,.*\}$/),
    ]);
    expect(left.at(-1)).toBe("rxadd: shop: done: 300000 events published, up to position 300000");
  });

  it("finishes what is queued at Ctrl-C, and takes the bar away", async () => {
    const run = atTerminal(["pipe", ...flags(), "--input", lines(2_000_000)]);
    await run.says(" s left");
    run.child.stdin?.write("\x03");
    expect(await run.ended).toBe(0);
    expect(run.stdout()).toContain("rxadd: finishing what is queued; press Ctrl-C again to stop at once\r\n");
    const left = run.stdout().split("\x1b[0J").at(-1) ?? "";
    expect(left).not.toMatch(bar);
    expect(left).toMatch(/rxadd: done: \d+ events published/);
  });

  it("draws a bar while it catches up with a stream, and then says so", async () => {
    const now = Date.now();
    const old = Array.from({ length: 60 }, (_, second) => `${now - (60 - second) * 1000}`);
    for (const at of old) {
      const pipeline = redis.client.pipeline();
      for (let index = 0; index < 500; index += 1) pipeline.xadd("here", `${at}-${index}`, "event", "{}");
      await pipeline.exec();
    }
    const config = join(folder, "copy.yaml");
    writeFileSync(
      config,
      `source: { type: redis, config: { uri: "${redis.uri}", stream: here } }
sinks: [{ type: redis, config: { id: copy, uri: "${redis.uri}", stream: there } }]
`,
    );
    const run = atTerminal(["replicate", "--config", config, "--metrics-port", "0"]);
    await run.says(" %");
    await redis.client.xadd("here", "*", "event", "{}");
    await run.says("caught up with the source: ");
    run.child.stdin?.write("\x03");
    expect(await run.ended).toBe(0);
    expect(run.stdout()).toMatch(bar);
    expect(run.stdout()).toMatch(/caught up with the source: (29,[5-9]\d\d|30,00[01]) events in \d+ s/);
    expect(await redis.client.xlen("there")).toBe(30_001);
  });

  it("falls behind when Redis is away, and shows how it catches up when it is back", async () => {
    const proxy = await startProxy(redis.port);
    onTestFinished(() => proxy.stop());
    const config = join(folder, "outage.yaml");
    writeFileSync(
      config,
      `source: { type: redis, config: { uri: "${redis.uri}", stream: here } }
sinks: [{ type: redis, config: { id: copy, uri: "${proxy.uri}", stream: there } }]
`,
    );
    const run = atTerminal(["replicate", "--config", config, "--metrics-port", "0"]);
    await run.says("publishing at its beginning");
    const feeding = interval(20).subscribe(() => void redis.client.xadd("here", "*", "event", "{}"));
    onTestFinished(() => feeding.unsubscribe());
    await run.says(checkpointStart);
    expect(run.stdout()).not.toMatch(bar);
    await proxy.refuse();
    // Some six seconds: longer than what counts as behind.
    await run.says("attempt 7 failed");
    await proxy.restore();
    await run.says("caught up with the source: ");
    feeding.unsubscribe();
    // The newest entry may still be on its way here.
    const here = await redis.client.xlen("here");
    await expect.poll(() => redis.client.xlen("there")).toBe(here);
    run.child.stdin?.write("\x03");
    expect(await run.ended).toBe(0);
    const [, back = ""] = run.stdout().split("publishing again");
    expect(back).toMatch(bar);
    expect(await redis.client.xlen("there")).toBe(await redis.client.xlen("here"));
  });
});

describe("elsewhere", () => {
  it("writes a line now and then, but only for what takes long", async () => {
    const input = new PassThrough();
    const run = rxadd(["pipe", ...flags()], input);
    const feeding = interval(5).subscribe((index) => input.write(`{"n":${index}}\n`));
    onTestFinished(() => feeding.unsubscribe());
    await run.says(" events/s");
    feeding.unsubscribe();
    input.end();
    expect(await run.ended).toBe(0);
    expect(run.stderr()).toMatch(/^rxadd: [\d,]+ events, [\d,]+ events\/s$/m);
    expect(run.stdout()).toMatch(checkpoint);
  });

  it("writes no line for what is done soon", async () => {
    const run = rxadd(["pipe", ...flags(), "--input", lines(3000)]);
    expect(await run.ended).toBe(0);
    expect(run.stderr()).not.toContain("events/s");
  });
});
