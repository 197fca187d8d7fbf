import { Batch, GlideClient } from "@valkey/valkey-glide";
import { Queue } from "bullmq";
import { createClient } from "redis";
import { jsonOf } from "../benchEvent.ts";
import { batchesOf, type Contender, streamOf } from "../contender.ts";

export const nodeRedisMulti: Contender = {
  name: "node-redis multi",
  mostEvents: 200_000,
  publish: async (task) => {
    const client = createClient({ url: task.uri });
    await client.connect();
    for (const batch of batchesOf(task)) {
      const multi = client.multi();
      for (const event of batch) multi.xAdd(streamOf(task, event.position), "*", { event: jsonOf(event) });
      await multi.exec();
    }
    await client.close();
    return undefined;
  },
};

export const valkeyGlideBatch: Contender = {
  name: "valkey-glide batch",
  mostEvents: 200_000,
  publish: async (task) => {
    const { hostname: host, port } = new URL(task.uri);
    const client = await GlideClient.createClient({ addresses: [{ host, port: Number(port) }] });
    for (const events of batchesOf(task)) {
      const batch = new Batch(false);
      for (const event of events) batch.xadd(streamOf(task, event.position), [["event", jsonOf(event)]]);
      await client.exec(batch, true);
    }
    client.close();
    return undefined;
  },
};

/** A job queue, not a stream: what an application has at hand for the same purpose. */
export const bullmqAddBulk: Contender = {
  name: "BullMQ addBulk",
  mostEvents: 40_000,
  publish: async (task) => {
    const { hostname: host, port } = new URL(task.uri);
    const queue = new Queue(task.stream, { connection: { host, port: Number(port) } });
    for (const batch of batchesOf(task)) {
      await queue.addBulk(batch.map((event) => ({ name: "event", data: { event: jsonOf(event) } })));
    }
    await queue.close();
    return undefined;
  },
};
