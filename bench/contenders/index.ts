import type { Contender } from "../contender.ts";
import { ioredisAutoPipelining, ioredisMulti, ioredisPipeline, ioredisPipelines } from "./ioredis.ts";
import { bullmqAddBulk, nodeRedisMulti, valkeyGlideBatch } from "./otherClients.ts";
import { rawScript, rawSocket } from "./rawSocket.ts";
import { redisBenchmark } from "./redisBenchmark.ts";
import { rxaddPipeline, rxaddScript } from "./rxadd.ts";

/** All of them: the limits of the server and of Node first. */
export const contenders: readonly Contender[] = [
  redisBenchmark,
  rawSocket,
  rawScript,
  rxaddScript,
  rxaddPipeline,
  ioredisPipeline,
  ioredisPipelines,
  ioredisMulti,
  ioredisAutoPipelining,
  nodeRedisMulti,
  valkeyGlideBatch,
  bullmqAddBulk,
];
