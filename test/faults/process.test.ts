import { once } from "node:events";
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { filter, firstValueFrom, from, lastValueFrom, Subject } from "rxjs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, type TestContext } from "vitest";
import { redisSink, type SinkStatus } from "../../src/index.ts";
import { tallyStream } from "../kit/load/tally.ts";
import { startProxy } from "../kit/network/tcpProxy.ts";
import { type Run, rxadd } from "../kit/program/cli.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";
import { type Bed, exactlyOnce, fault, faults, type Scene } from "./harness/fault.ts";
import { form, seed } from "./harness/form.ts";
import { durable, oneServer } from "./harness/oneServer.ts";
import { type Proxied, proxied } from "./harness/proxied.ts";
import { randomOf } from "./harness/random.ts";
import { type Row, recordRow } from "./harness/row.ts";
import { rxaddPipe } from "./harness/rxaddPipe.ts";
import { sinkId, stream } from "./harness/writers.ts";

const events = 200_000;
const random = randomOf(seed);
const isLong = form === "long";
/** The buffer is full long before. */
const downSecs = isLong ? 30 : 5;
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

/** The position of the last checkpoint that it has printed. */
function lastCheckpoint(run: Run): number {
  // Behind the last line end may stand a part of the next line.
  const line = run.stdout().split("\n").at(-2) ?? "{}";
  return Number(JSON.parse(line).position);
}

async function crash({ load }: Pick<Scene<Bed>, "load">): Promise<void> {
  load.crash();
  load.start();
}

/** While Redis has done something that nobody knows of. */
async function crashUnheard({
  bed: { proxy, server },
  load,
}: Pick<Scene<Proxied>, "bed" | "load">): Promise<void> {
  proxy.dropReplies();
  const before = await server.client.xlen(stream);
  await waitUntil(async () => (await server.client.xlen(stream)) > before, 1);
  load.crash();
  await proxy.restore();
  load.start();
}

faults("process", () => {
  for (const publish of ["script", "multi"] as const) {
    fault({
      fault: `the writer crashes in mid-flight and is started again (${publish})`,
      times: { short: 20, long: 200 },
      bed: () => oneServer([], { publish }),
      inject: crash,
    });
  }

  fault({
    fault: "the writer crashes after XADD, before the checkpoint",
    times: { short: 10, long: 60 },
    bed: () => proxied(),
    inject: crashUnheard,
  });

  fault({
    fault: "rxadd pipe ended by SIGKILL",
    times: { short: 10, long: 50 },
    bed: () => oneServer(),
    writer: ({ server }) => rxaddPipe(server.uri),
    inject: crash,
  });

  fault({
    fault: "rxadd pipe killed after XADD, before the checkpoint",
    times: { short: 5, long: 40 },
    bed: () => proxied(),
    writer: ({ proxy }) => rxaddPipe(proxy.uri),
    inject: crashUnheard,
  });
});

describe("process", () => {
  let redis: RedisServer;
  beforeEach(async () => {
    redis = await startRedis();
  });
  afterEach(() => redis.stop());

  function flags({ uri }: { readonly uri: string } = redis): string[] {
    return ["pipe", "--uri", uri, "--stream", stream, "--id", sinkId];
  }

  async function lastEvent(): Promise<number> {
    const [newest] = await redis.client.xrevrange(stream, "+", "-", "COUNT", 1);
    return Number(JSON.parse(newest?.[1][1] ?? "{}").n);
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

  it("rxadd pipe ended by SIGTERM drains: 0 / 0 / 0", { timeout: 300_000 }, async ({ task }) => {
    const times = isLong ? 12 : 3;
    for (let ended = 0; ended < times; ended += 1) {
      const run = rxadd([...flags(), "--input", input]);
      await further(run, (events / times) * 0.4);
      run.child.kill("SIGTERM");
      expect(await run.ended).toBe(0);
      expect(lastCheckpoint(run)).toBe(await lastEvent());
    }
    expect(await rxadd([...flags(), "--input", input]).ended).toBe(0);

    await countAll(task, { fault: "rxadd pipe ended by SIGTERM", times, events });
  });

  it("rxadd pipe ended by SIGTERM drains also when its input has ended before", async () => {
    const lines = new PassThrough();
    const run = rxadd(flags(), lines);
    lines.write('{"n":1}\n');
    await run.says('"position":1');
    await redis.client.config("SET", "maxmemory", 1);
    lines.end('{"n":2}\n');
    await run.says("attempt 3 failed");
    run.child.kill("SIGTERM");
    await redis.client.config("SET", "maxmemory", 0);

    expect(await run.ended).toBe(0);
    expect(await redis.client.xlen(stream)).toBe(2);
  });

  it("a process that was stopped while another one took over: 0 / 0 / 0", { timeout: 300_000 }, async ({
    task,
  }) => {
    const times = isLong ? 20 : 3;
    let run = rxadd([...flags(), "--input", input]);
    for (let takeover = 1; takeover <= times; takeover += 1) {
      await further(run, events / (2 * times + 2));
      run.child.kill("SIGSTOP");
      const newer = rxadd([...flags(), "--input", input]);
      await newer.says('"position"');
      run.child.kill("SIGCONT");
      expect(await run.ended).toBe(3);
      expect(run.stderr()).toContain("another writer with this sink id has taken over");
      run = newer;
    }
    expect(await run.ended).toBe(0);

    await countAll(task, { fault: "a stopped process wakes up after a takeover", times, events });
  });

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

  it.for([
    ["script", { short: 8, long: 60 }],
    ["multi", { short: 3, long: 30 }],
  ] as const)(
    "a batch of a fenced writer that arrives late changes nothing (%s): 0 / 0 / 0",
    { timeout: 300_000 },
    async ([publish, { [form]: times }], { task }) => {
      const proxy = await startProxy(redis.port);
      const numbers = (after: number) =>
        Array.from({ length: 1000 }, (_, index) => ({ n: after + index + 1, position: after + index + 1 }));
      const settings = { id: sinkId, stream, publish };
      for (let round = 0; round < times; round += 1) {
        const news = numbers(round * 1000);
        const events$ = new Subject<{ n: number; position: number }>();
        const statuses = new Subject<SinkStatus>();
        const opened = firstValueFrom(statuses.pipe(filter(({ state }) => state === "opened")));
        const late = lastValueFrom(
          events$.pipe(redisSink({ ...settings, uri: proxy.uri, status: statuses })),
        );
        const refused = expect(late).rejects.toMatchObject({ _tag: "Fenced" });
        await opened;
        // It has the lane, and a batch on its way, when the other one comes: before WATCH, before EXEC, after it.
        proxy.delay(100);
        for (const event of news) events$.next(event);
        if (publish === "multi") await delay(random.between(0, 350));
        await lastValueFrom(from(news).pipe(redisSink({ ...settings, uri: redis.uri })));
        // For one that was done before.
        for (const event of numbers((round + 1) * 1000).slice(0, 1)) events$.next(event);
        await refused;
        proxy.delay(0);
      }
      await proxy.stop();

      const fault = `a late batch of a fenced writer (${publish})`;
      await countAll(task, { fault, times, events: times * 1000 });
    },
  );

  it(`Redis down for ${downSecs} s and a fast source: memory within the buffer, 0 / 0 / 0`, {
    timeout: 120_000,
  }, async ({ task }) => {
    await redis.stop();
    redis = await startRedis(durable);
    const run = rxadd([...flags(), "--input", input]);
    await run.says('"position"');
    await redis.signal("SIGKILL");

    await delay(downSecs * 1000);
    const status = readFileSync(`/proc/${run.child.pid}/status`, "utf8");
    const memoryMiB = Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024);
    await redis.start();

    expect(await run.ended).toBe(0);
    expect(memoryMiB).toBeLessThan(64 + 150);
    const fault = `Redis down for ${downSecs} s, rxadd pipe with a fast source`;
    await countAll(task, { fault, times: 1, events, memoryMiB, longestStallMs: downSecs * 1000 });
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
