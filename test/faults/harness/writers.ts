import { Redis } from "ioredis";
import { bufferCount, concatMap, defer, finalize, from, map, NEVER, type Observable, retry } from "rxjs";
import { redisSink, replicate, type SinkOptions } from "../../../src/index.ts";
import type { Numbered } from "../../kit/load/pacedNumbers.ts";
import type { Writer } from "./load.ts";

export const stream = "orders.events";
export const sinkId = "orders-redis";
/** The sink's producer state. */
export const state = `{${stream}}:rxadd:${sinkId}`;

/** What is under test. */
export function rxadd(settings: Partial<SinkOptions<Numbered, number>>): Writer {
  return (source, status) =>
    replicate({
      source,
      // A fault sets what it needs; the server is always among it.
      sink: redisSink<Numbered, number>({ id: sinkId, stream, status, ...settings } as SinkOptions<
        Numbered,
        number
      >),
    }).pipe(map(({ position }) => position ?? 0));
}

/**
 * The control: batches of so many by an ioredis pipeline, sent again when they fail, as most write it by
 * hand. Under the same faults it must leave duplicates, or the harness injects nothing.
 */
export function handWritten(uri: string, perBatch = 100): Writer {
  return (source) =>
    defer(() => {
      const client = new Redis(uri);
      client.on("error", () => {
        // The batch that fails tells.
      });
      return source(undefined, NEVER).pipe(
        bufferCount(perBatch),
        concatMap((events) => sendUntilDone(client, events)),
        finalize(() => client.disconnect()),
      );
    });
}

function sendUntilDone(client: Redis, events: readonly Numbered[]): Observable<number> {
  return defer(async () => {
    const pipeline = client.pipeline();
    for (const event of events) pipeline.xadd(stream, "*", "event", JSON.stringify(event));
    const results = (await pipeline.exec()) ?? [];
    for (const [error] of results) if (error !== null) throw error;
    return events.at(-1)?.n ?? 0;
  }).pipe(retry({ delay: 20 }), (position$) => from(position$));
}
