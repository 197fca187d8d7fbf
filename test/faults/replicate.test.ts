import { concatMap, filter, firstValueFrom, lastValueFrom, Subject, skip, take, tap, timer } from "rxjs";
import { afterEach, describe, expect, it } from "vitest";
import { type Checkpoint, redisSink, replicate, type SinkOptions, type Status } from "../../src/index.ts";
import { type Numbered, pacedNumbers } from "../support/pacedNumbers.ts";
import { type RedisServer, startRedis } from "../support/redisServer.ts";
import { tallyStream } from "../support/tally.ts";

const zero = { lost: 0, duplicates: 0, inversions: 0 };
const stream = "orders.events";
const state = "{orders.events}:rxadd:orders-redis";

let redis: RedisServer | undefined;
afterEach(async () => {
  await redis?.stop();
  redis = undefined;
});

/** A replication under load, and what it says of itself. */
async function underLoad(args: readonly string[], settings: Partial<SinkOptions<Numbered, number>> = {}) {
  const server = await startRedis(args);
  redis = server;
  const statuses = new Subject<Status>();
  const checkpoints = new Subject<Checkpoint<number>>();
  const positions: number[] = [];
  const { source, last, stop } = pacedNumbers();
  const done = lastValueFrom(
    replicate({
      source,
      sink: redisSink<Numbered, number>({
        id: "orders-redis",
        uri: server.uri,
        stream,
        status: statuses,
        ...settings,
      }),
    }).pipe(
      tap((checkpoint) => {
        positions.push(checkpoint.position ?? 0);
        checkpoints.next(checkpoint);
      }),
    ),
  );
  // Awaited by `finish`; until then a failure must not count as unhandled.
  done.catch(() => {});

  return {
    server,
    statuses,
    positions,
    /** Resolves when that many further checkpoints have come. */
    progress: (count: number) => Promise.race([firstValueFrom(checkpoints.pipe(skip(count - 1))), done]),
    status: (isIt: (status: Status) => boolean) => firstValueFrom(statuses.pipe(filter(isIt))),
    finish: async () => {
      stop();
      await done;
      expect(positions).toEqual([...positions].sort((a, b) => a - b));
      expect(positions.at(-1)).toBe(last());
      const found = await tallyStream(server.client, stream, last());
      console.log(
        `events ${last()}, lost ${found.lost}, duplicates ${found.duplicates}, inversions ${found.inversions}`,
      );
      expect(found).toEqual({ entries: last(), ...zero });
    },
  };
}

describe.each([
  ["script", 4],
  ["script", 1],
  ["pipeline", 1],
] as const)("replicate with publish: %s and a window of %i", (publish, window) => {
  it("loses, doubles and reorders nothing while its connection is killed every 50 ms", async () => {
    const load = await underLoad([], { publish, window });
    const kills = timer(0, 50).pipe(
      take(publish === "script" && window === 4 ? 200 : 40),
      concatMap(() => load.server.client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")),
    );
    await lastValueFrom(kills);
    await load.progress(5);
    await load.finish();
  });
});

describe("replicate", () => {
  it("holds the checkpoint while Redis is out of memory, writes no half batch, and goes on after", async () => {
    const load = await underLoad(["--maxmemory-policy", "noeviction"]);
    await load.progress(20);
    const used = Number(/used_memory:(\d+)/.exec(await load.server.client.info("memory"))?.[1]);
    await load.server.client.config("SET", "maxmemory", used + 2_000_000);
    const outOfMemory = () =>
      load.status((status) => status.state === "retrying" && status.cause._tag === "OutOfMemory");
    await outOfMemory();
    // Redis frees a little by itself, such as buffers of clients: that must not let a batch through.
    await load.server.client.config("SET", "maxmemory", used);
    await outOfMemory();
    const before = load.positions.length;
    const [lastEntry] = await load.server.client.xrevrange(stream, "+", "-", "COUNT", 1);
    const lastEvent = JSON.parse(lastEntry?.[1][1] ?? "{}");

    await lastValueFrom(timer(5000));

    expect(load.positions.length).toBe(before);
    expect(lastEvent.position).toBe(load.positions.at(-1));
    expect(await load.server.client.hget(state, "position")).toBe(`${lastEvent.position}`);
    await load.server.client.config("SET", "maxmemory", 0);
    await load.progress(20);
    await load.finish();
  });
});
