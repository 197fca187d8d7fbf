import type { Redis } from "ioredis";

/** Adds entries with these numbers, each with the event that its number makes. */
export async function addEntries(
  redis: Redis,
  stream: string,
  from: number,
  to: number,
  eventOf: (entry: number) => object,
): Promise<void> {
  for (let start = from; start < to; start += 1000) {
    const pipeline = redis.pipeline();
    for (let entry = start; entry < Math.min(to, start + 1000); entry += 1)
      pipeline.xadd(stream, "*", "event", JSON.stringify(eventOf(entry)));
    await pipeline.exec();
  }
}

/** How many entries nobody of the stream's only group has read, or acknowledged. */
export async function entriesLeft(redis: Redis, stream: string): Promise<number> {
  const [info] = (await redis.xinfo("GROUPS", stream)) as unknown[][];
  const figure = (name: string) => Number(info?.[info.indexOf(name) + 1]);
  return figure("lag") + figure("pending");
}
