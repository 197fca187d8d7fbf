import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { readEvents, tallyStream } from "../kit/load/tally.ts";
import { type Run, rxadd } from "../kit/program/cli.ts";
import { rxaddHere } from "../kit/program/inProcess.ts";
import { type PostgresServer, startPostgres } from "../kit/servers/postgresServer.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

let redis: RedisServer;
let folder: string;
beforeAll(async () => {
  redis = await startRedis();
  folder = mkdtempSync(join(tmpdir(), "rxadd-side-by-side-"));
});
afterAll(async () => {
  await redis.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  await redis.client.flushall();
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** A pipeline whose sink is called orders, whatever the pipeline is called. */
function pipeline(name: string, source: string, stream = name): string {
  return `pipeline: ${name}
source: ${source}
sinks: [{ type: redis, config: { id: orders, uri: "\${REDIS_URI}", stream: ${stream} } }]
`;
}

const ofFile = (path: string) => `{ type: ndjson, config: { path: "${path}" } }`;
const ofStream = (stream: string) => `{ type: redis, config: { uri: "\${REDIS_URI}", stream: ${stream} } }`;

function lines(count: number): string {
  return Array.from({ length: count }, (_, index) => `{"n":${index + 1}}\n`).join("");
}

async function add(stream: string, from: number, to: number): Promise<void> {
  const adding = redis.client.pipeline();
  for (let n = from; n <= to; n += 1) adding.xadd(stream, "*", "event", `{"n":${n}}`);
  await adding.exec();
}

function flags(...pipelines: readonly string[]): string[] {
  return ["replicate", "--config", file("pipelines.yaml", pipelines.join("---\n"))];
}

const env = () => ({ REDIS_URI: redis.uri });

function replicate(...pipelines: readonly string[]): Run {
  const run = rxadd([...flags(...pipelines), "--metrics-port", "0", "--dashboard-port", "0"], "", env());
  onTestFinished(() => void run.child.kill("SIGKILL"));
  return run;
}

function addressOf(run: Run, what: string): string {
  return new RegExp(`${what} at (\\S+)`).exec(run.stderr())?.[1] ?? "";
}

describe("pipelines side by side", () => {
  it("run in one process, and each result says whose it is", async () => {
    const orders = pipeline("shop", ofFile(file("orders.ndjson", lines(300))));
    const users = pipeline("staff", ofFile(file("users.ndjson", lines(200))));
    const run = replicate(orders, users);

    expect(await run.ended).toBe(0);
    expect(await redis.client.xlen("shop")).toBe(300);
    expect(await redis.client.xlen("staff")).toBe(200);
    const checkpoints = run
      .stdout()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const events = (name: string) =>
      checkpoints.filter(({ pipeline }) => pipeline === name).reduce((sum, { events }) => sum + events, 0);
    expect([events("shop"), events("staff")]).toEqual([300, 200]);
    expect(run.stderr()).toContain("rxadd: shop: done: 300 events published, up to position 300\n");
    expect(run.stderr()).toContain("rxadd: staff: done: 200 events published, up to position 200\n");
  });

  it("share metrics, health and a dashboard, and all end cleanly", async () => {
    const run = replicate(pipeline("here", ofStream("a")), pipeline("there", ofStream("b")));
    await run.says("here: here: publishing at its beginning");
    await run.says("there: there: publishing at its beginning");
    await Promise.all([add("a", 1, 500), add("b", 1, 300)]);
    const metrics = addressOf(run, "metrics");
    const scraped = async () => (await fetch(metrics)).text();
    await expect.poll(scraped).toContain('deltaforge_sink_events_total{pipeline="here",sink="orders"} 500');
    await expect.poll(scraped).toContain('deltaforge_sink_events_total{pipeline="there",sink="orders"} 300');
    await expect
      .poll(scraped)
      .toContain('rxadd_stream_length{pipeline="there",sink="orders",stream="there"} 300');
    const ready = await fetch(metrics.replace("/metrics", "/readyz"));
    expect(await ready.json()).toMatchObject({ ok: true, sinks: [{ ready: true }, { ready: true }] });
    const page = await fetch(`${addressOf(run, "dashboard")}events`);
    const reader = page.body?.pipeThrough(new TextDecoderStream()).getReader();
    let seen = "";
    while (!seen.includes('"there/orders"')) seen += (await reader?.read())?.value ?? "";
    expect(seen).toContain('"here/orders"');
    await reader?.cancel();

    await Promise.all([add("a", 501, 2000), add("b", 301, 2000)]);
    await waitUntil(async () => (await redis.client.xlen("here")) > 500);
    run.child.kill("SIGTERM");

    expect(await run.ended).toBe(0);
    for (const [name, source] of [["here", "a"] as const, ["there", "b"] as const]) {
      expect(run.stderr()).toMatch(new RegExp(`rxadd: ${name}: done: \\d+ events published`));
      const position = await redis.client.hget(`{${name}}:rxadd:orders`, "position");
      const last = (await redis.client.xrange(source, "-", position ?? "")).length;
      expect(last).toBe(await redis.client.xlen(name));
    }
  });

  it("leave the others alone when one fails for good, and tell it: log, health, exit code", async () => {
    const broken = pipeline("broken", ofFile(file("broken.ndjson", `${lines(2)}nothing\n`)));
    const run = replicate(pipeline("copy", ofStream("a")), broken);
    await run.says("broken: failed: ");
    expect(run.stderr()).toMatch(/rxadd: broken: failed: .*line 3: found no JSON/);
    expect(await redis.client.xlen("broken")).toBe(2);
    await add("a", 1, 1000);
    await waitUntil(async () => (await redis.client.xlen("copy")) === 1000);
    const health = await fetch(addressOf(run, "metrics").replace("/metrics", "/healthz"));
    expect(health.status).toBe(503);
    expect(await health.json()).toMatchObject({
      ok: false,
      sinks: [
        { alive: true, ready: true },
        { alive: false, ready: false, state: "closed", cause: expect.stringContaining("line 3") },
      ],
    });

    run.child.kill("SIGTERM");

    expect(await run.ended).toBe(2);
    expect(run.stderr()).toContain("rxadd: copy: done: 1000 events published");
    expect(run.stderr()).toMatch(/rxadd: 1 of 2 pipelines failed: broken\n$/);
    expect(await tallyStream(redis.client, "copy", 1000)).toEqual({
      ...{ entries: 1000, lost: 0, duplicates: 0, inversions: 0 },
    });
  });

  it("leave health alone when one comes to its end, and end with the code of the first that failed", async () => {
    const short = pipeline("short", ofFile(file("short.ndjson", lines(2))));
    const refused = pipeline("refused", ofStream("a"));
    const run = replicate(short, refused);
    await run.says("short: done: 2 events published");
    const ready = await fetch(addressOf(run, "metrics").replace("/metrics", "/readyz"));
    expect(ready.status).toBe(200);
    await redis.client.del("refused");
    await redis.client.set("refused", "no stream");
    await add("a", 1, 1);

    expect(await run.ended).toBe(3);
    expect(run.stderr()).toMatch(/refused: failed: /);
  });

  it("come from the files of a folder", async () => {
    const pipelines = join(folder, "pipelines");
    mkdirSync(pipelines);
    const orders = file("orders.ndjson", lines(3));
    writeFileSync(join(pipelines, "a.yaml"), pipeline("a", ofFile(orders)));
    writeFileSync(join(pipelines, "b.yml"), pipeline("b", ofFile(orders)));

    const run = rxadd(["replicate", "--config", pipelines, "--metrics-port", "0"], "", env());
    expect(await run.ended).toBe(0);
    expect(await readEvents(redis.client, "a")).toEqual(await readEvents(redis.client, "b"));

    const check = rxaddHere(["check", pipelines, "--json"], "", env());
    expect(await check.ended).toBe(0);
    expect(check.stdout()).toContain('{"part":"a: sink orders","what":"stream"');
    expect(check.stdout()).toContain('{"part":"b: source","what":"file"');
  });

  it("are refused before any of them begins when one cannot be", async () => {
    const orders = pipeline("shop", ofFile(file("orders.ndjson", lines(3))));
    const none = pipeline("none", "{}").replace(/source: .*\n/, "");
    for (const [args, message] of [
      [() => flags(orders, none), "source: found nothing, expected a source"],
      [() => flags(orders, orders), "found several pipelines with the name shop"],
      [
        () => ["pipe", ...flags(orders, orders.replaceAll("shop", "other")).slice(1)],
        "found the pipelines shop, other, expected one: rxadd replicate and rxadd check take several",
      ],
    ] as const) {
      const run = rxaddHere(args(), "", env());
      expect(await run.ended).toBe(2);
      expect(run.stderr()).toContain(message);
    }
    expect(await redis.client.exists("shop", "other")).toBe(0);
  });
});

describe("the usual port of the metrics", () => {
  it("is told when it is taken, and is an error only where it was asked for", async () => {
    const taken = createServer().listen(9000, "127.0.0.1");
    // Another test, or whoever it is, has it just as well.
    await Promise.race([once(taken, "listening"), once(taken, "error").catch(() => {})]).catch(() => {});
    onTestFinished(() => void taken.close());
    const args = flags(pipeline("shop", ofFile(file("orders.ndjson", lines(3)))));

    const usual = rxaddHere(args, "", env());
    expect(await usual.ended).toBe(0);
    expect(usual.stderr()).toMatch(
      /rxadd: no metrics: metrics on 127\.0\.0\.1:9000: found listen EADDRINUSE/,
    );
    expect(usual.stderr()).toContain("done: 3 events published");

    const asked = rxaddHere([...args, "--metrics-port", "9000"], "", env());
    expect(await asked.ended).toBe(2);
    expect(asked.stderr()).toContain("metrics on 127.0.0.1:9000: found listen EADDRINUSE");
    expect(asked.stderr()).not.toContain("no metrics");
  });
});

describe("a pipeline of DeltaForge beside one of our own", () => {
  let postgres: PostgresServer;
  let db: Client;
  beforeAll(async () => {
    postgres = await startPostgres();
    db = new Client(postgres.connectionString);
    await db.connect();
    await db.query("CREATE TABLE items (id int PRIMARY KEY, name text)");
  });
  afterAll(async () => {
    await db.end();
    await postgres.stop();
  });

  it("publishes the changes that its file names", async () => {
    const wrapped = `apiVersion: deltaforge/v1
kind: Pipeline
metadata: { name: shop, tenant: acme }
spec:
  source:
    type: postgres
    config: { id: shop, dsn: "\${POSTGRES_URI}", slot: shop, publication: shop_pub, tables: [public.items], snapshot: { mode: never } }
  processors: []
  sinks:
    - type: redis
      config: { id: orders, uri: "\${REDIS_URI}", stream: orders.events, envelope: { type: native }, encoding: json, required: true }
  batch: { max_events: 2000, max_bytes: 16777216, max_ms: 50, respect_source_tx: true, max_inflight: 4 }
  commit_policy: { mode: required }
  schema_sensing: { enabled: false }
`;
    const args = [...flags(wrapped, pipeline("copy", ofStream("orders.events"))), "--metrics-port", "0"];
    const run = rxadd(args, "", { ...env(), POSTGRES_URI: postgres.connectionString });
    onTestFinished(() => void run.child.kill("SIGKILL"));
    await run.says("shop: orders.events: publishing");
    await expect
      .poll(async () => (await db.query("SELECT 1 FROM pg_replication_slots WHERE active")).rowCount)
      .toBe(1);
    await db.query("INSERT INTO items SELECT n, 'tea' FROM generate_series(1, 5000) n");
    await waitUntil(async () => (await redis.client.xlen("copy")) === 5000);
    run.child.kill("SIGTERM");

    expect(await run.ended).toBe(0);
    const ids = (await readEvents(redis.client, "copy")).map((event) => JSON.parse(event).after.id);
    expect(ids).toEqual(Array.from({ length: 5000 }, (_, index) => index + 1));
  });
});
