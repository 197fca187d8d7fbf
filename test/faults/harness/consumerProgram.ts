import { Redis } from "ioredis";
import { identity, merge } from "rxjs";
import { acknowledge, deduplicate, effects, groupDeliveries } from "../../../src/consumer.ts";
import type { ConsumerOrder, Item } from "./consumerProcess.ts";

// A process with several consumers of one group, which is killed at random. Each handler leaves a
// trace by itself, and writes its effect with the acknowledgement.
const order: ConsumerOrder = JSON.parse(process.argv[2] ?? "");
const { uri, stream, group, consumers, way, claimIdleMs } = order;
const redis = quiet(new Redis(uri, { enableAutoPipelining: true }));

/** Comes back by itself; the test knows why it was away. */
function quiet(client: Redis): Redis {
  client.on("error", () => {});
  return client;
}

const trace = ({ n }: Item) => redis.setbit("handled", n, 1);

function byRxadd(consumer: string) {
  const deliveries$ = groupDeliveries<Item>({
    uri,
    stream,
    group,
    consumer,
    claimIdleMs,
    window: 200,
    blockMs: 100,
    retry: { initialMs: 10 },
  });
  return deliveries$.pipe(
    way === "deduplicate" ? deduplicate({ key: ({ id }) => id }) : identity,
    acknowledge(
      async (item: Item) => {
        await trace(item);
        return effects(["HINCRBY", "effects", item.id, 1]);
      },
      { concurrency: 50 },
    ),
  );
}

/** As the examples have it: what it had before first, then new entries, one by one. */
async function byHand(consumer: string): Promise<never> {
  const reader = quiet(new Redis(uri));
  for (let from = "0"; ; ) {
    const reply = (await reader.xreadgroup(
      ...(["GROUP", group, consumer, "COUNT", 10, "BLOCK", 100, "STREAMS", stream, from] as const),
    )) as [string, [string, string[]][]][] | null;
    const [, entries = []] = reply?.[0] ?? [];
    if (from === "0" && entries.length === 0) from = ">";
    for (const [id, [, event = ""]] of entries) {
      const item: Item = JSON.parse(event);
      await redis.hincrby("effects", item.id, 1);
      await trace(item);
      await redis.xack(stream, group, id);
    }
  }
}

process.send?.("started");
if (way === "byHand") await Promise.all(consumers.map(byHand));
else await merge(...consumers.map(byRxadd)).forEach(() => {});
