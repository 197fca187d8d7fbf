import { Redis } from "ioredis";
import { BehaviorSubject, lastValueFrom } from "rxjs";
import { type Flow, fromIterable, redisSink } from "../src/index.ts";

/** An event as every contender gets it: 220 bytes of JSON, encoded already. */
export interface BenchEvent {
  readonly position: number;
  readonly json: string;
}

/** One way to publish events to a stream; resolves when Redis has acknowledged all of them. */
export interface Contender {
  readonly name: string;
  readonly publish: (uri: string, stream: string, events: readonly BenchEvent[]) => Promise<void>;
}

export const batchSize = 500;

/** What a user writes by hand: one pipeline of XADDs after the other. */
const ioredisPipeline: Contender = {
  name: "ioredis pipeline of XADD",
  publish: async (uri, stream, events) => {
    const redis = new Redis(uri);
    for (let start = 0; start < events.length; start += batchSize) {
      const pipeline = redis.pipeline();
      for (const { json } of events.slice(start, start + batchSize))
        pipeline.xadd(stream, "*", "event", json);
      const results = await pipeline.exec();
      for (const [error] of results ?? []) if (error !== null) throw error;
    }
    await redis.quit();
  },
};

/** The same with several pipelines in flight, as rxadd has batches. */
const ioredisPipelines: Contender = {
  name: "ioredis pipelines, 4 in flight",
  publish: async (uri, stream, events) => {
    const redis = new Redis(uri);
    const inFlight: Promise<unknown>[] = [];
    for (let start = 0; start < events.length; start += batchSize) {
      const pipeline = redis.pipeline();
      for (const { json } of events.slice(start, start + batchSize))
        pipeline.xadd(stream, "*", "event", json);
      inFlight.push(pipeline.exec());
      if (inFlight.length >= 4) await inFlight.shift();
    }
    await Promise.all(inFlight);
    await redis.quit();
  },
};

function rxadd(name: string, publish: "script" | "pipeline"): Contender {
  return {
    name,
    publish: async (uri, stream, events) => {
      const flow = new BehaviorSubject<Flow>("resume");
      const checkpoint = await lastValueFrom(
        fromIterable(events, flow).pipe(
          redisSink<BenchEvent, number>({
            id: "bench",
            uri,
            stream,
            flow,
            publish,
            batch: { maxEvents: batchSize },
            event: { encode: ({ json }) => json },
          }),
        ),
      );
      if (checkpoint.position !== events.length) throw new Error(`ended at ${checkpoint.position}`);
    },
  };
}

/** All contenders; the first is what the others are compared with. */
export const contenders: readonly Contender[] = [
  ioredisPipeline,
  ioredisPipelines,
  rxadd("rxadd, exactly once", "script"),
  rxadd("rxadd, exactly once, publish: pipeline", "pipeline"),
];
