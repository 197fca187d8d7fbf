import { Redis } from "ioredis";
import { type BenchEvent, jsonOf } from "../benchEvent.ts";
import { batchesOf, type Contender, streamOf, type Task, withWindow } from "../contender.ts";

type Results = readonly (readonly [Error | null, unknown])[] | null;

function open({ uri, ca }: Task, enableAutoPipelining = false): Redis {
  return new Redis(uri, { enableAutoPipelining, ...(ca === undefined ? {} : { tls: { ca } }) });
}

async function check(results: Promise<Results>): Promise<void> {
  for (const [error] of (await results) ?? []) if (error !== null) throw error;
}

function pipelineOf(redis: Redis, task: Task, batch: readonly BenchEvent[], isTransaction: boolean) {
  const pipeline = isTransaction ? redis.multi() : redis.pipeline();
  for (const event of batch) pipeline.xadd(streamOf(task, event.position), "*", "event", jsonOf(event));
  return check(pipeline.exec());
}

/** What a user writes by hand: one pipeline of XADDs after the other. */
export const ioredisPipeline: Contender = {
  name: "ioredis pipeline",
  publish: async (task) => {
    const redis = open(task);
    for (const batch of batchesOf(task)) await pipelineOf(redis, task, batch, false);
    await redis.quit();
    return undefined;
  },
};

/** The same with several pipelines in flight, as rxadd has batches. */
export const ioredisPipelines: Contender = {
  name: "ioredis pipeline, 4 in flight",
  publish: async (task) => {
    const redis = open(task);
    await withWindow(task, (batch) => pipelineOf(redis, task, batch, false));
    await redis.quit();
    return undefined;
  },
};

export const ioredisMulti: Contender = {
  name: "ioredis MULTI",
  publish: async (task) => {
    const redis = open(task);
    for (const batch of batchesOf(task)) await pipelineOf(redis, task, batch, true);
    await redis.quit();
    return undefined;
  },
};

export const ioredisAutoPipelining: Contender = {
  name: "ioredis auto-pipelining",
  mostEvents: 200_000,
  publish: async (task) => {
    const redis = open(task, true);
    for (const batch of batchesOf(task)) {
      await Promise.all(
        batch.map((event) => redis.xadd(streamOf(task, event.position), "*", "event", jsonOf(event))),
      );
    }
    await redis.quit();
    return undefined;
  },
};
