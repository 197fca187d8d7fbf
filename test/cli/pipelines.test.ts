import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { partitionOf } from "../../src/index.ts";
import { readEvents, tallyStream } from "../kit/load/tally.ts";
import { rxadd } from "../kit/program/cli.ts";
import { rxaddHere } from "../kit/program/inProcess.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

let main: RedisServer;
let copy: RedisServer;
let folder: string;
beforeAll(async () => {
  [main, copy] = await Promise.all([startRedis(), startRedis()]);
  folder = mkdtempSync(join(tmpdir(), "rxadd-pipelines-"));
});
afterAll(async () => {
  await Promise.all([main.stop(), copy.stop()]);
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  await Promise.all([main.client.flushall(), copy.client.flushall()]);
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** Starts `rxadd replicate` with this YAML. */
function flags(yaml: string): string[] {
  return ["replicate", "--config", file("pipeline.yaml", yaml), "--metrics-port", "0"];
}

const env = () => ({ MAIN: main.uri, COPY: copy.uri });

function replicate(yaml: string) {
  return rxadd(flags(yaml), "", env());
}

function lines(count: number): string {
  return Array.from({ length: count }, (_, index) =>
    JSON.stringify({ id: `${index + 1}`, op: "c", n: index + 1, after: { id: index % 7 } }),
  ).join("\n");
}

describe("rxadd replicate of a file, into several sinks", () => {
  const sinks = (path: string) => `
source: { type: ndjson, config: { path: "${path}" } }
sinks:
  - type: redis
    config: { id: main, uri: "\${MAIN}", stream: orders, trim: { max_len: 100, approximate: false } }
  - type: redis
    config:
      id: copy
      uri: "\${COPY}"
      stream: orders
      required: false
      envelope: raw
      partitions: 4
      key: "\${after.id}"
      fields: { id: "\${id}" }
`;

  it("gives each its own stream, envelope, partitions and trimming", async () => {
    const run = replicate(sinks(file("orders.ndjson", lines(1000))));

    expect(await run.ended).toBe(0);
    expect(await main.client.xlen("orders")).toBe(100);
    const streams = await copy.client.keys("orders:{?}");
    const lengths = await Promise.all(streams.map((stream) => copy.client.xlen(stream)));
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(1000);
    const stream = partitionOf("orders", "0", 4);
    expect((await copy.client.xrange(stream, "-", "+", "COUNT", 1))[0]?.[1]).toEqual([
      ...["event", '{"id":0}', "id", "1"],
    ]);
  });

  it("spreads events over the fields of an entry, as their columns", async () => {
    const config = "{ id: flat, uri: '${MAIN}', stream: flat, envelope: flat, fields: { change: '${id}' } }";
    const yaml = `source: { type: ndjson, config: { path: ${file("one.ndjson", lines(1))} } }
sinks: [{ type: redis, config: ${config} }]`;

    expect(await replicate(yaml).ended).toBe(0);

    const [[, fields] = []] = await main.client.xrange("flat", "-", "+");
    expect(fields).toEqual(["op", "c", "id", "0", "change", "1"]);
  });

  it("goes on without the optional one that is away, says so, and completes it at the next start", async () => {
    const yaml = sinks(file("orders.ndjson", lines(1000)));
    await copy.signal("SIGSTOP");
    const first = replicate(yaml);
    expect(await first.ended).toBe(0);
    expect(first.stderr()).toMatch(/copy: behind, until the next start: it made no progress/);
    await copy.signal("SIGCONT");

    expect(await replicate(yaml).ended).toBe(0);

    const streams = await copy.client.keys("orders:{?}");
    const events = await Promise.all(streams.map((stream) => readEvents(copy.client, stream)));
    expect(events.flat()).toHaveLength(1000);
  });
});

describe("rxadd replicate of a Redis Stream", () => {
  it("copies it to another server, exactly once although it is killed", async () => {
    const yaml = `
source: { type: redis, config: { uri: "\${MAIN}", stream: orders } }
sinks:
  - type: redis
    config: { id: copy, uri: "\${COPY}", stream: orders }
`;
    let added = 0;
    for (let kill = 0; kill < 3; kill += 1) {
      const run = replicate(yaml);
      await run.says("orders: publishing");
      for (let burst = 0; burst < 10; burst += 1) {
        const pipeline = main.client.pipeline();
        for (let n = 1; n <= 500; n += 1) pipeline.xadd("orders", "*", "event", `{"n":${added + n}}`);
        await pipeline.exec();
        added += 500;
      }
      run.child.kill("SIGKILL");
      await run.ended;
    }

    const last = replicate(yaml);
    await waitUntil(async () => (await copy.client.xlen("orders")) >= added);
    last.child.kill("SIGTERM");

    expect(await last.ended).toBe(0);
    expect(await tallyStream(copy.client, "orders", added)).toEqual({
      entries: added,
      lost: 0,
      duplicates: 0,
      inversions: 0,
    });
  });
});

describe("a pipeline that cannot be", () => {
  it.each([
    ["source: { type: kafka, config: {} }", /source.type: found kafka, expected postgres or ndjson or redis/],
    ["source: { type: ndjson, config: {} }", /source.config.path: found nothing, expected a text/],
    ["source: { type: redis, config: { uri: 5, stream: s } }", /source.config.uri: found 5/],
    ["commit: { quorum: 0 }", /commit.quorum: found 0, expected a whole number from 1 on/],
    ["commit: most", /commit: found most, expected required, all, or \{ quorum: 2 \}/],
  ])("is refused with exit code 2: %s", async (line, message) => {
    const run = rxaddHere(
      flags(`${line}\nsinks: [{ type: redis, config: { id: a, uri: "\${MAIN}", stream: s } }]\n`),
      "",
      env(),
    );

    expect(await run.ended).toBe(2);
    expect(run.stderr()).toMatch(message);
  });

  it.each([
    ["the same id twice", "required: true", "a", /found the ids a, a, expected different ones/],
    ["no sink that is required", "required: false", "b", /found no sink that is required/],
  ])("is refused with exit code 2: %s", async (_case, required, second, message) => {
    const sink = (id: string) =>
      `{ type: redis, config: { id: ${id}, uri: "\${MAIN}", stream: s, ${required} } }`;
    const run = rxaddHere(
      flags(`source: { type: ndjson, config: { path: x } }\nsinks: [${sink("a")}, ${sink(second)}]\n`),
      "",
      env(),
    );

    expect(await run.ended).toBe(2);
    expect(run.stderr()).toMatch(message);
  });
});
