import { once } from "node:events";
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { filter, firstValueFrom, from, lastValueFrom, Subject } from "rxjs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, type TestContext } from "vitest";
import { redisSink, type Status } from "../../src/index.ts";
import { type Run, rxadd } from "../support/cli.ts";
import { type RedisServer, startRedis } from "../support/redisServer.ts";
import { tallyStream } from "../support/tally.ts";
import { startProxy } from "../support/tcpProxy.ts";
import { exactlyOnce, fault, faults } from "./harness/fault.ts";
import { form, seed } from "./harness/form.ts";
import { durable, oneServer } from "./harness/oneServer.ts";
import { proxied } from "./harness/proxied.ts";
import { randomOf } from "./harness/random.ts";
import { type Row, recordRow } from "./harness/row.ts";
import { sinkId, stream } from "./harness/writers.ts";

const events = 200_000;
const random = randomOf(seed);
const isLong = form === "long";
let folder: string;
let input: string;

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

faults("process", () => {
  fault({
    fault: "the writer crashes in mid-flight and is started again",
    times: { short: 20, long: 200 },
    bed: () => oneServer(),
    inject: async ({ load }) => {
      load.crash();
      load.start();
    },
  });

  fault({
    fault: "the writer crashes after XADD, before the checkpoint",
    times: { short: 10, long: 60 },
    bed: () => proxied(),
    inject: async ({ bed: { proxy, server }, load }) => {
      proxy.dropReplies();
      const before = await server.client.xlen(stream);
      while ((await server.client.xlen(stream)) === before) await delay(1);
      load.crash();
      await proxy.restore();
      load.start();
    },
  });
});

describe("process", () => {
  let redis: RedisServer;
  beforeEach(async () => {
    redis = await startRedis();
  });
  afterEach(() => redis.stop());

  function flags(): string[] {
    return ["pipe", "--uri", redis.uri, "--stream", stream, "--id", sinkId];
  }

  /** Counts, and gives the line to the table. */
  async function countAll(
    task: TestContext["task"],
    row: Pick<Row, "fault" | "times" | "events"> & Partial<Row>,
  ): Promise<void> {
    const found = await tallyStream(redis.client, stream, row.events);
    const { lost, duplicates, inversions } = found;
    const counts = { lost, duplicates, inversions, promise: exactlyOnce.text };
    recordRow(task, { ...counts, ...row });
    exactlyOnce.holds(found, row.events);
  }

  /** Resolves when it has published so much more, or has ended. */
  async function further(run: Run, count: number): Promise<void> {
    const goal = (await redis.client.xlen(stream)) + count;
    while ((await redis.client.xlen(stream)) < goal && run.child.exitCode === null) await delay(2);
  }

  it.for(["SIGKILL", "SIGTERM"] as const)(
    "rxadd pipe ended by %s again and again: 0 / 0 / 0",
    { timeout: 300_000 },
    async (signal, { task }) => {
      const times = isLong ? 40 : 10;
      for (let kill = 0; kill < times; kill += 1) {
        const run = rxadd([...flags(), "--input", input]);
        await further(run, (events / (times + 2)) * 0.9);
        await delay(random.between(0, 10));
        run.child.kill(signal);
        expect(await run.ended).toBe(signal === "SIGKILL" ? "SIGKILL" : 0);
      }
      expect(await rxadd([...flags(), "--input", input]).ended).toBe(0);

      await countAll(task, { fault: `rxadd pipe ended by ${signal}`, times, events });
    },
  );

  it("a second process with the same sink id takes over, the first ends with FENCED: 0 / 0 / 0", async ({
    task,
  }) => {
    const times = isLong ? 10 : 2;
    let older = { lines: new PassThrough(), n: 0 };
    let run = rxadd(flags(), older.lines);
    /** Lines up to that number; a process that takes over is given all of them again. */
    const write = ({ lines, n }: typeof older, upTo: number) => {
      for (let next = n + 1; next <= upTo; next += 1) lines.write(`{"n":${next}}\n`);
      return { lines, n: upTo };
    };
    for (let takeover = 1; takeover <= times; takeover += 1) {
      older = write(older, takeover * 2000 - 1000);
      await run.says(`"position":${takeover * 2000 - 1000}`);
      const newer = write({ lines: new PassThrough(), n: 0 }, takeover * 2000);
      const newerRun = rxadd(flags(), newer.lines);
      await newerRun.says(`"position":${takeover * 2000}`);
      write(older, takeover * 2000 + 500);

      expect(await run.ended).toBe(3);
      expect(run.stderr()).toContain("another writer with this sink id has taken over");
      older = newer;
      run = newerRun;
    }
    older.lines.end();
    expect(await run.ended).toBe(0);

    await countAll(task, { fault: "a second writer takes over", times, events: times * 2000 });
  });

  it("a batch of a fenced writer that arrives late changes nothing: 0 / 0 / 0", async ({ task }) => {
    const times = isLong ? 60 : 10;
    const proxy = await startProxy(redis.port);
    const numbers = (upTo: number) =>
      Array.from({ length: upTo }, (_, index) => ({ n: index + 1, position: index + 1 }));
    const settings = { id: sinkId, stream };
    for (let round = 1; round <= times; round += 1) {
      const events$ = new Subject<{ n: number; position: number }>();
      const statuses = new Subject<Status>();
      const opened = firstValueFrom(statuses.pipe(filter(({ state }) => state === "opened")));
      const late = lastValueFrom(events$.pipe(redisSink({ ...settings, uri: proxy.uri, status: statuses })));
      const refused = expect(late).rejects.toMatchObject({ _tag: "Fenced" });
      await opened;
      // It has the lane, and a batch on its way, when the other one comes.
      proxy.delay(200);
      for (const event of numbers(round * 1000)) events$.next(event);
      await lastValueFrom(from(numbers(round * 1000)).pipe(redisSink({ ...settings, uri: redis.uri })));
      await refused;
      proxy.delay(0);
    }
    await proxy.stop();

    await countAll(task, { fault: "a late batch of a fenced writer", times, events: times * 1000 });
  });

  it("Redis down for 30 s and a fast source: memory within the buffer, 0 / 0 / 0", {
    timeout: 120_000,
  }, async ({ task }) => {
    await redis.stop();
    redis = await startRedis(durable);
    const run = rxadd([...flags(), "--input", input]);
    await run.says('"position"');
    await redis.signal("SIGKILL");

    await delay(30_000);
    const status = readFileSync(`/proc/${run.child.pid}/status`, "utf8");
    const memoryMiB = Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024);
    await redis.start();

    expect(await run.ended).toBe(0);
    expect(memoryMiB).toBeLessThan(64 + 150);
    const fault = "Redis down for 30 s, rxadd pipe with a fast source";
    await countAll(task, { fault, times: 1, events, memoryMiB, longestStallMs: 30_000 });
  });

  it("rxadd pipe ends with exit code 3 when Redis loses its data and standard input cannot be read again", async () => {
    const lines = new PassThrough();
    const run = rxadd(flags(), lines);
    lines.write('{"n":1}\n');
    await run.says('"position":1');
    await redis.client.flushall();
    lines.write('{"n":2}\n');

    expect(await run.ended).toBe(3);
    expect(run.stderr()).toContain("standard input cannot be read again");
  });

  it("rxadd pipe reads its input file again when Redis loses its data: 0 / 0 / 0", async ({ task }) => {
    const run = rxadd([...flags(), "--input", input]);
    await run.says('"position"');
    await redis.client.flushall();

    expect(await run.ended).toBe(0);
    await countAll(task, { fault: "rxadd pipe --input, FLUSHALL", times: 1, events });
  });
});
