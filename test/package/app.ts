// What an app does with the package. It is compiled and run in projects that have installed it: see apps.test.ts.

import { Redis } from "ioredis";
import { Registry } from "prom-client";
import { redisSink, replicate, type Source } from "rxadd";
import { streamLength } from "rxadd/admin";
import { acknowledge, groupDeliveries } from "rxadd/consumer";
import { serveMetrics, sinkMetrics } from "rxadd/metrics";
import { batch } from "rxadd/operators";
import { streamSource } from "rxadd/sources/redis";
import { fakeRedis } from "rxadd/testing";
import { firstValueFrom, from, lastValueFrom, take, toArray } from "rxjs";

interface Order {
  readonly id: string;
  readonly amount: number;
}

async function main(uri: string): Promise<void> {
  const orders: readonly Order[] = [
    { id: "a", amount: 1 },
    { id: "b", amount: 2 },
  ];
  const connection = new Redis(uri);
  const registry = new Registry();
  const observers = [sinkMetrics({ pipeline: "shop", sink: "orders", registry })];
  const sink = redisSink<Order>({ id: "orders", connection, stream: "orders", observers });
  const { events } = await lastValueFrom(from(orders).pipe(sink));

  const deliveries = groupDeliveries<Order>({ connection, stream: "orders", group: "mailer" });
  const handling = acknowledge(async ({ amount }: Order) => amount * 10);
  const handled = await lastValueFrom(deliveries.pipe(handling, take(2), toArray()));

  const served = await firstValueFrom(serveMetrics({ registry, port: 0 }));
  const metrics = await registry.metrics();
  const length = await firstValueFrom(streamLength({ uri, stream: "orders" }));
  connection.disconnect();

  const numbers: Source<number, number> = () => from([1, 2, 3]);
  const inMemory = fakeRedis({ latencyMs: 0 });
  const copying = replicate({
    source: numbers,
    sink: redisSink({
      id: "numbers",
      connection: inMemory,
      stream: "numbers",
      event: { position: (n) => n },
    }),
  });
  const copied = await lastValueFrom(copying);
  const batches = await lastValueFrom(from([1, 2, 3]).pipe(batch({ maxItems: 2 }), toArray()));
  const source = streamSource({ uri, stream: "orders" });

  console.log(
    JSON.stringify({
      ...{
        events,
        length,
        copied: copied.position?.toFixed(),
        batches: batches.length,
        source: typeof source,
      },
      handled: handled.map(({ result }) => result?.toFixed()),
      counted: metrics.includes('deltaforge_sink_events_total{pipeline="shop",sink="orders"} 2'),
      served: served.port > 0,
    }),
  );
}

function failed(error: unknown): void {
  console.error(error);
  process.exit(1);
}

main(process.env.REDIS_URI ?? "")
  // Nothing is left that would keep the process alive.
  .then(() => setTimeout(() => failed("it goes on"), 5000).unref())
  .catch(failed);
