import { setTimeout as delay } from "node:timers/promises";
import { finalize, firstValueFrom, NEVER, Subject, tap } from "rxjs";
import { expect } from "vitest";
import type { RedisServer } from "../kit/servers/redisServer.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";
import { exactlyOnce, type Fault, fault, faults, type Scene } from "./harness/fault.ts";
import type { Writer } from "./harness/load.ts";
import { oldestGone } from "./harness/oldestGone.ts";
import { durable, type OneServer, oneServer } from "./harness/oneServer.ts";
import { counted } from "./harness/serverView.ts";
import { handWritten, rxadd, state, stream } from "./harness/writers.ts";

type OnOneServer = Pick<Scene<OneServer>, "bed" | "load" | "random">;

/** In bytes; 0: none. */
async function limitMemory({ client }: RedisServer, maxmemory: number): Promise<void> {
  await client.config("SET", "maxmemory", maxmemory);
}

/** In bytes. */
function usedMemory(server: RedisServer): Promise<number> {
  return counted(server, "used_memory");
}

/** The last event in the stream, its position in the producer state, and how many entries there are. */
async function whatStands({ client }: RedisServer) {
  const [newest, position, entries] = await Promise.all([
    client.xrevrange(stream, "+", "-", "COUNT", 1),
    client.hget(state, "position"),
    client.xlen(stream),
  ]);
  return { lastEvent: Number(JSON.parse(newest[0]?.[1][1] ?? "{}").n), position: Number(position), entries };
}

/** Redis is out of memory while the sink tries that often; meanwhile nothing moves, and no batch is there by half. */
async function outOfMemory({ bed: { server }, load }: OnOneServer, attempts: number): Promise<void> {
  const refused = load.retrying("OutOfMemory");
  await limitMemory(server, 1);
  await refused;
  const safe = load.safe();
  for (let seen = 1; seen < attempts; seen += 1) await load.retrying("OutOfMemory");
  expect(load.safe()).toBe(safe);
  expect(await whatStands(server)).toEqual({ lastEvent: safe, position: safe, entries: safe });
  await limitMemory(server, 0);
}

/** The limit is crossed while a batch is written: it was not reached before the last one that got through. */
async function crossLimit({ bed: { server }, load, random }: OnOneServer): Promise<void> {
  const limit = (await usedMemory(server)) + random.between(600_000, 1_200_000);
  const refused = load.retrying("OutOfMemory");
  const before = load.safe();
  await limitMemory(server, limit);
  await refused;
  expect(load.safe(), "batches after the limit was set").toBeGreaterThan(before);
  const { lastEvent, position, entries } = await whatStands(server);
  expect({ lastEvent, position }).toEqual({ lastEvent: entries, position: entries });
  expect(entries % batchOf500.batch.maxEvents, "entries of half a batch").toBe(0);
  await limitMemory(server, 0);
}

const batchOf500 = { batch: { maxEvents: 500, lingerMs: 60_000 }, window: 1 } as const;

/** Another client's memory comes and goes every few ms, until Redis has refused something. */
async function press({ bed: { server }, random }: OnOneServer): Promise<void> {
  const refused = await counted(server, "errorstat_OOM:count");
  do {
    await limitMemory(server, 1);
    await delay(random.between(1, 5));
    await limitMemory(server, 0);
    await delay(random.between(1, 5));
  } while ((await counted(server, "errorstat_OOM:count")) === refused);
}

const pressed = {
  times: { short: 40, long: 200 },
  between: [1, 4],
  perTick: 400,
  inject: press,
} satisfies Partial<Fault<OneServer>>;

/** A sink starts on a server that may evict its stream, is warned, and loses it. */
async function evict({ bed: { server }, load }: OnOneServer): Promise<void> {
  load.crash();
  const warned = load.status((status) => status.state === "warning" && /allkeys-lru/.test(status.message));
  load.start();
  await warned;
  const evicted = () => counted(server, "evicted_keys");
  const before = await evicted();
  await limitMemory(server, (await usedMemory(server)) + 500_000);
  await waitUntil(async () => (await evicted()) > before, 5);
  await limitMemory(server, 0);
}

/** A bed whose source goes on when it is told to pause. */
interface Unpausable extends OneServer {
  /** The last event that the source emitted before the sink left it. */
  readonly left: Subject<number>;
}

function unpausable({ settings, left }: Unpausable): Writer {
  return (source, status) =>
    rxadd(settings)((from) => {
      let last = 0;
      return source(from, NEVER).pipe(
        tap(({ n }) => {
          last = n;
        }),
        finalize(() => left.next(last)),
      );
    }, status);
}

/** Redis is down until the buffer has run over. */
async function overflow({ bed: { server, left }, load }: Scene<Unpausable>): Promise<void> {
  const overflowing = firstValueFrom(left);
  await server.signal("SIGKILL");
  const tooMuch = await overflowing;
  await server.start();
  await load.failed("BufferOverflow");
  expect(load.safe(), "all that came before").toBe(tooMuch - 1);
  load.start();
}

faults("memory", () => {
  for (const publish of ["script", "multi"] as const) {
    fault({
      fault: `OOM until somebody makes room (${publish})`,
      times: { short: 1, long: 4 },
      bed: () => oneServer([], { publish }),
      inject: (scene) => outOfMemory(scene, 5),
    });

    fault({
      fault: `OOM in the middle of a batch of 500 (${publish})`,
      times: { short: 3, long: 30 },
      between: [1, 5],
      bed: () => oneServer([], { publish, ...batchOf500 }),
      inject: crossLimit,
      promise: { ...exactlyOnce, text: "0 / 0 / 0: each batch is there as a whole or not at all" },
    });
  }

  for (const settings of [
    { publish: "script", window: 1 },
    { publish: "script", window: 4 },
    { publish: "script", window: 16 },
    { publish: "multi" },
  ] as const) {
    fault({
      ...pressed,
      fault: `OOM that comes and goes every few ms (${Object.values(settings).join(", window ")})`,
      bed: () => oneServer([], { ...settings, retry: { initialMs: 5, maxMs: 20 } }),
    });
  }

  fault({
    ...pressed,
    fault: "OOM that comes and goes, control: hand-written ioredis",
    bed: () => oneServer(),
    writer: (bed) => handWritten(bed.server.uri, 500),
    isControl: true,
    promise: {
      text: "duplicates or losses",
      holds: ({ duplicates, lost }) => expect(duplicates + lost).toBeGreaterThan(0),
    },
  });

  fault({
    fault: "the stream is evicted (allkeys-lru)",
    times: { short: 3, long: 8 },
    bed: () => oneServer(["--maxmemory-policy", "allkeys-lru"]),
    inject: evict,
    ...oldestGone("warned at the start; what Redis evicts is gone, the rest in order and once"),
  });

  fault({
    fault: "Redis is down and the source cannot pause",
    times: { short: 1, long: 8 },
    perTick: 40,
    bed: async () => ({
      ...(await oneServer(durable, { buffer: { maxEvents: 10_000 } })),
      left: new Subject<number>(),
    }),
    writer: unpausable,
    inject: overflow,
    promise: { ...exactlyOnce, text: "0 / 0 / 0: BufferOverflow, after what came before is safe" },
  });
});
