import type { Redis } from "ioredis";
import { type GroupOptions, groupDeliveries } from "../../../src/consumer.ts";

export interface Order {
  readonly id: string;
  readonly n: number;
}

export const stream = "orders.events";
export const group = "mailer";

/** Orders on a server, and a group that reads them. */
export function ordersGroup(redis: { readonly client: Redis; readonly uri: string }) {
  async function add(...numbers: readonly number[]): Promise<string[]> {
    const ids: string[] = [];
    for (const n of numbers) {
      ids.push((await redis.client.xadd(stream, "*", "event", JSON.stringify({ id: `o${n}`, n }))) ?? "");
    }
    return ids;
  }

  return {
    add,
    deliveries: (settings: Partial<GroupOptions<Order>> = {}) =>
      groupDeliveries<Order>({
        ...{ uri: redis.uri, stream, group, consumer: "one", blockMs: 200 },
        ...settings,
      }),
    /** How many entries nobody has settled. */
    pending: async (): Promise<number> => {
      const stands = await redis.client.exists(stream);
      const [count] = stands === 1 ? await redis.client.xpending(stream, group).catch(() => [0]) : [0];
      return Number(count);
    },
    /** How often each pending entry was delivered, by whose consumer it is. */
    counts: async (): Promise<readonly (readonly [string, number])[]> => {
      const found = (await redis.client.xpending(stream, group, "-", "+", 1000)) as unknown[][];
      return found.map(([, consumer, , deliveries]) => [String(consumer), Number(deliveries)]);
    },
    /** Whether a read waits for entries. */
    isWaiting: async (): Promise<boolean> =>
      /flags=b.*cmd=xreadgroup/.test(String(await redis.client.client("LIST"))),
    consumers: async (): Promise<readonly string[]> => {
      const found = (await redis.client.xinfo("CONSUMERS", stream, group)) as unknown[][];
      return found.map((info) => String(info[1]));
    },
  };
}
