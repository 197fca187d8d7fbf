import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { Redis } from "ioredis";
import type { Contender, Task } from "./contender.ts";
import { streamOf } from "./contender.ts";

/** What a contender's process is told. */
export type Order = Omit<Task, "events">;

/** What is published where nothing else is said, and how. */
export const usual = { kind: "ready", bytes: 220, batchSize: 500, window: 4, streams: 1 } as const;

/** What it answers. */
export interface Outcome {
  readonly seconds: number;
  /** Of its own process, if it is that which publishes. */
  readonly cpuSeconds: number | undefined;
  /** The most memory that it has held so far, likewise. */
  readonly peakMiB: number | undefined;
}

/**
 * A race: each contender has a process of its own, and they take turns, so that none lives with another
 * one's garbage and whatever else the machine does hits all alike.
 */
export interface Race {
  readonly contenders: readonly Contender[];
  readonly order: Omit<Order, "stream">;
  readonly rounds: number;
  /** Where to look at what came, if that is not `order.uri`. */
  readonly inspect?: string;
}

/** Medians of the rounds. */
export interface Result {
  readonly name: string;
  readonly eventsPerSecond: number;
  /** Processor time of the contender's process for one event, in µs; NaN: another program publishes. */
  readonly clientUs: number;
  /** And of the server. */
  readonly serverUs: number;
  /** The most memory that the contender's process held, its events included; NaN likewise. */
  readonly peakMiB: number;
  /** The slowest and the fastest round, in events a second. */
  readonly spread: readonly [number, number];
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Runs it; the first round only warms up. */
export async function race({ contenders, order, rounds, inspect }: Race): Promise<readonly Result[]> {
  const { ca } = order;
  const redis = new Redis(inspect ?? order.uri, ca === undefined ? {} : { tls: { ca } });
  const stream = `rxadd-bench-${process.pid}`;
  const racers = contenders.map((contender) => {
    const program = new URL("./contenderProcess.ts", import.meta.url);
    const count = Math.min(order.count, contender.mostEvents ?? order.count);
    return { contender, child: fork(program, [contender.name]), count, rounds: [] as Measured[] };
  });

  for (let round = 0; round <= rounds; round += 1) {
    for (const racer of racers) {
      const before = await cpuSeconds(redis);
      const {
        seconds,
        cpuSeconds: own = Number.NaN,
        peakMiB = Number.NaN,
      } = await tell(racer.child, {
        ...order,
        count: racer.count,
        stream,
      });
      const server = (await cpuSeconds(redis)) - before;
      await count(redis, { ...order, stream }, racer);
      await remove(redis, stream);
      if (round > 0) racer.rounds.push({ seconds, own, server, peakMiB });
    }
  }

  for (const { child } of racers) child.disconnect();
  await redis.quit();
  return racers.map(({ contender: { name }, count, rounds }) => {
    const us = (pick: (measured: Measured) => number) => (median(rounds.map(pick)) * 1e6) / count;
    return {
      name,
      eventsPerSecond: 1e6 / us(({ seconds }) => seconds),
      clientUs: us(({ own }) => own),
      serverUs: us(({ server }) => server),
      peakMiB: Math.max(...rounds.map(({ peakMiB }) => peakMiB)),
      spread: [
        count / Math.max(...rounds.map(({ seconds }) => seconds)),
        count / Math.min(...rounds.map(({ seconds }) => seconds)),
      ],
    };
  });
}

/** Seconds, and seconds of processor time. */
interface Measured {
  readonly seconds: number;
  readonly own: number;
  readonly server: number;
  readonly peakMiB: number;
}

async function tell(child: ChildProcess, order: Order): Promise<Outcome> {
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`a contender ended with exit code ${code}`);
  });
  // It ends in the end, when nobody waits for that any more.
  ended.catch(() => {});
  child.send(order);
  const [outcome] = await Promise.race([once(child, "message"), ended]);
  return outcome;
}

async function cpuSeconds(redis: Redis): Promise<number> {
  const info = await redis.info("cpu");
  const [user, system] = ["user", "sys"].map((kind) =>
    Number(new RegExp(`used_cpu_${kind}:([\\d.]+)`).exec(info)?.[1]),
  );
  return (user ?? 0) + (system ?? 0);
}

/** A rate counts only if every event arrived. */
async function count(
  redis: Redis,
  { stream, streams }: Pick<Task, "stream" | "streams">,
  { contender, count }: { readonly contender: Contender; readonly count: number },
): Promise<void> {
  let found = await redis.llen(`bull:${stream}:wait`);
  for (let index = 0; index < streams; index += 1)
    found += await redis.xlen(streamOf({ stream, streams }, index));
  if (found !== count) throw new Error(`${contender.name}: found ${found} entries, expected ${count}`);
}

async function remove(redis: Redis, prefix: string): Promise<void> {
  for await (const keys of redis.scanStream({ match: `*${prefix}*`, count: 1000 })) {
    if (keys.length > 0) await redis.del(...keys);
  }
}
