import { contenders } from "../contenders/index.ts";
import { ioredisPipeline } from "../contenders/ioredis.ts";
import { race } from "../race.ts";
import { type Row, rounded } from "../row.ts";
import type { Settings } from "../section.ts";

/** Every way a user could publish, beside the limits of the server and of Node. */
export async function* throughput({ uri, events, rounds }: Settings): AsyncGenerator<Row> {
  const order = { uri, count: events, bytes: 220, batchSize: 500, window: 4, streams: 1 };
  const results = await race({ contenders, order, rounds });
  const base = results.find(({ name }) => name === ioredisPipeline.name)?.eventsPerSecond ?? Number.NaN;
  for (const { name, eventsPerSecond, clientUs, serverUs } of results) {
    yield {
      section: "throughput",
      name,
      "events/s": Math.round(eventsPerSecond),
      ratio: rounded(eventsPerSecond / base),
      "client µs/event": Number.isNaN(clientUs) ? undefined : rounded(clientUs),
      "server µs/event": rounded(serverUs),
    };
  }
}
