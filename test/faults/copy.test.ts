import { setTimeout as delay } from "node:timers/promises";
import { defer, repeat, Subject, type Subscription, takeUntil } from "rxjs";
import { describe, expect, it } from "vitest";
import { entryCopies, streamSource } from "../../src/consumer.ts";
import { redisSink, replicate } from "../../src/index.ts";
import { tallyStream } from "../kit/load/tally.ts";
import { startProxy, type TcpProxy } from "../kit/network/tcpProxy.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import { form, seed } from "./harness/form.ts";
import { durable } from "./harness/oneServer.ts";
import { type Random, randomOf } from "./harness/random.ts";
import { recordRow } from "./harness/row.ts";
import { nothingLeakedSince, openHandles } from "./harness/watch.ts";

const stream = "orders.events";
const entries = form === "long" ? 1_000_000 : 40_000;
const injections = form === "long" ? 100 : 8;

/** One end: a server, and the way to it. */
interface End {
  readonly server: RedisServer;
  readonly proxy: TcpProxy;
}

async function startEnd(): Promise<End> {
  const server = await startRedis(durable);
  return { server, proxy: await startProxy(server.port) };
}

async function add({ client }: RedisServer, from: number, to: number): Promise<void> {
  for (let start = from; start < to; start += 1000) {
    const pipeline = client.pipeline();
    for (let n = start + 1; n <= Math.min(to, start + 1000); n += 1)
      pipeline.xadd(stream, "*", "event", `{"n":${n}}`);
    await pipeline.exec();
  }
}

/** Breaks one of the two ends, or the copying itself. */
async function breakOne(ends: readonly [End, End], restart: Subject<void>, random: Random): Promise<void> {
  const { server, proxy } = random.oneOf(...ends);
  switch (random.between(0, 4)) {
    case 0:
      proxy.reset();
      break;
    case 1:
      await Promise.race([proxy.resetAfter(random.between(0, 60_000), "requests"), delay(200)]);
      await proxy.restore();
      break;
    case 2:
      proxy.dropReplies();
      await delay(random.between(0, 50));
      await proxy.restore();
      break;
    case 3:
      await server.signal("SIGKILL");
      await server.start();
      break;
    default:
      restart.next();
  }
}

describe("copy", () => {
  it("Redis to Redis, faults on both ends: 0 / 0 / 0", { timeout: 600_000 }, async ({
    task,
    onTestFailed,
  }) => {
    onTestFailed(() => console.error(`to run this schedule again: RXADD_SEED=${seed}`));
    const random = randomOf(seed);
    const handles = openHandles();
    const ends: readonly [End, End] = [await startEnd(), await startEnd()];
    const [here, there] = ends;
    const restart = new Subject<void>();
    const retry = { initialMs: 5, maxMs: 100 };
    let failure: unknown;
    let copying: Subscription | undefined;
    try {
      copying = defer(() =>
        replicate({
          source: streamSource({ uri: here.proxy.uri, stream, retry, sendTimeoutMs: 1000 }),
          sink: redisSink({
            id: "copy",
            uri: there.proxy.uri,
            stream,
            retry,
            sendTimeoutMs: 1000,
            ...entryCopies,
          }),
        }),
      )
        .pipe(takeUntil(restart), repeat())
        .subscribe({
          error: (error) => {
            failure = error;
          },
        });
      for (let index = 0; index < injections; index += 1) {
        const share = (part: number) => Math.round((entries * part) / injections);
        // What a kill takes away was not acknowledged: it is added again.
        await add(here.server, share(index), share(index + 1));
        await delay(random.between(0, 20));
        await breakOne(ends, restart, random);
      }
      while ((await there.server.client.xlen(stream)) < entries && failure === undefined) await delay(20);
      expect(failure).toBeUndefined();
      const exactly = { entries, lost: 0, duplicates: 0, inversions: 0 };
      expect(await tallyStream(here.server.client, stream, entries)).toEqual(exactly);
      const found = await tallyStream(there.server.client, stream, entries);
      recordRow(task, {
        ...{ fault: "Redis to Redis, faults on both ends", times: injections, events: entries },
        ...{ lost: found.lost, duplicates: found.duplicates, inversions: found.inversions },
        promise: "0 / 0 / 0",
      });
      expect(found).toEqual(exactly);
    } finally {
      copying?.unsubscribe();
      for (const { server, proxy } of ends) {
        await proxy.stop();
        await server.stop();
      }
    }
    await nothingLeakedSince(handles);
  });
});
