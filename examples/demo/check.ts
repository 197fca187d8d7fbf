import type { Redis } from "ioredis";
import type { Written } from "./shop.ts";

/** What the stream says happened, in its order. */
async function readChanges(redis: Redis, stream: string): Promise<string[]> {
  const changes: string[] = [];
  let start = "-";
  for (;;) {
    const page = await redis.xrange(stream, start, "+", "COUNT", 1000);
    for (const [id, [, event = ""]] of page) {
      const { op, before, after } = JSON.parse(event);
      const { id: order, amount } = after ?? before;
      changes.push(`${op} ${order} ${amount}`);
      start = `(${id}`;
    }
    if (page.length < 1000) return changes;
  }
}

/** Undefined if the stream holds exactly the committed changes in order; else the first difference. */
export async function difference(
  redis: Redis,
  stream: string,
  written: readonly Written[],
): Promise<string | undefined> {
  const found = await readChanges(redis, stream);
  for (let index = 0; index < Math.max(found.length, written.length); index += 1) {
    if (found[index] !== written[index]) {
      return `change ${index + 1}: found ${found[index] ?? "nothing"}, expected ${written[index] ?? "nothing"}`;
    }
  }
  return undefined;
}
