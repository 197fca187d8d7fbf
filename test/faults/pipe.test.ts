import { once } from "node:events";
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { rxadd } from "../support/cli.ts";
import { type RedisServer, startRedis } from "../support/redisServer.ts";
import { tallyStream } from "../support/tally.ts";

const events = 200_000;
const zero = { lost: 0, duplicates: 0, inversions: 0 };
let folder: string;
let input: string;
let redis: RedisServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "rxadd-faults-"));
  input = join(folder, "events.ndjson");
  const file = createWriteStream(input);
  for (let n = 1; n <= events; n += 1)
    file.write(`{"id":"orders/${n}","n":${n},"note":"${"x".repeat(170)}"}\n`);
  file.end();
  await once(file, "close");
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(async () => {
  redis = await startRedis();
});
afterEach(() => redis.stop());

function flags(): string[] {
  return ["pipe", "--uri", redis.uri, "--stream", "orders.events", "--id", "orders-redis"];
}

async function entries(): Promise<number> {
  return redis.client.xlen("orders.events");
}

describe("rxadd pipe", () => {
  it("leaves exactly one entry an event, in order, when it is killed ten times and started again", async () => {
    const seed = Date.now() % 1_000_000;
    let random = seed;
    let kills = 0;
    while (kills < 10) {
      const run = rxadd([...flags(), "--input", input]);
      // A tenth of the events further on, and a random moment after that.
      const goal = (await entries()) + 1 + (events / 12) * 0.9;
      while ((await entries()) < goal && run.child.exitCode === null) await delay(2);
      random = (random * 48_271) % 2_147_483_647;
      await delay(random % 10);
      run.child.kill("SIGKILL");
      expect(await run.ended).toBe("SIGKILL");
      kills += 1;
    }
    const last = rxadd([...flags(), "--input", input]);
    expect(await last.ended).toBe(0);

    const found = await tallyStream(redis.client, "orders.events", events);
    console.log(`seed ${seed}: SIGKILL ${kills} times, events ${events}`, found);
    expect(found).toEqual({ entries: events, ...zero });
  });

  it("ends with FENCED and exit code 3 when a second process with the same sink id takes over", async () => {
    const first = new PassThrough();
    const older = rxadd(flags(), first);
    for (let n = 1; n <= 1000; n += 1) first.write(`{"n":${n}}\n`);
    await older.says('"position":1000');

    const second = new PassThrough();
    const newer = rxadd(flags(), second);
    for (let n = 1; n <= 2000; n += 1) second.write(`{"n":${n}}\n`);
    await newer.says('"position":2000');
    for (let n = 1001; n <= 3000; n += 1) first.write(`{"n":${n}}\n`);

    expect(await older.ended).toBe(3);
    expect(older.stderr()).toContain("another writer with this sink id has taken over");
    for (let n = 2001; n <= 3000; n += 1) second.write(`{"n":${n}}\n`);
    second.end();
    expect(await newer.ended).toBe(0);
    expect(await tallyStream(redis.client, "orders.events", 3000)).toEqual({ entries: 3000, ...zero });
  });

  it("stays within its buffer while Redis is down for 30 s and the source is fast, and goes on after", {
    timeout: 90_000,
  }, async () => {
    await redis.stop();
    redis = await startRedis(["--appendonly", "yes", "--appendfsync", "always"]);
    const run = rxadd([...flags(), "--input", input]);
    await run.says('"position"');
    await redis.signal("SIGKILL");

    await delay(30_000);
    const peak =
      Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${run.child.pid}/status`, "utf8"))?.[1]) / 1024;
    await redis.start();

    expect(await run.ended).toBe(0);
    console.log(`Redis down for 30 s: peak memory ${Math.round(peak)} MiB`);
    expect(peak).toBeLessThan(64 + 150);
    expect(await tallyStream(redis.client, "orders.events", events)).toEqual({ entries: events, ...zero });
  });

  it("ends with exit code 3 when Redis loses its data and standard input cannot be read again", async () => {
    const lines = new PassThrough();
    const run = rxadd(flags(), lines);
    lines.write('{"n":1}\n');
    await run.says('"position":1');
    await redis.client.flushall();
    lines.write('{"n":2}\n');

    expect(await run.ended).toBe(3);
    expect(run.stderr()).toContain("standard input cannot be read again");
  });

  it("reads its input file again when Redis loses its data", async () => {
    const run = rxadd([...flags(), "--input", input]);
    await run.says('"position"');
    await redis.client.flushall();

    expect(await run.ended).toBe(0);
    expect(await tallyStream(redis.client, "orders.events", events)).toEqual({ entries: events, ...zero });
  });
});
