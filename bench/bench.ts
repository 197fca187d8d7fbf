import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import { startRedis } from "../test/support/redisServer.ts";
import { type BenchEvent, contenders } from "./contenders.ts";

const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    events: { type: "string", default: "400000" },
    rounds: { type: "string", default: "5" },
  },
});

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function eventOf(position: number): BenchEvent {
  const row = {
    id: position,
    customer: `customer-${position % 1000}`,
    total: (position % 9973) / 100,
    note: "",
  };
  const event = { id: `orders/${position}`, op: "c", ts_ms: 1_700_000_000_000 + position, after: row };
  const padding = "x".repeat(Math.max(0, 220 - JSON.stringify(event).length));
  return { position, json: JSON.stringify({ ...event, after: { ...row, note: padding } }) };
}

const events = Array.from({ length: Number(values.events) }, (_, index) => eventOf(index + 1));
const server = process.env.REDIS_URI === undefined ? await startRedis() : undefined;
const uri = server?.uri ?? process.env.REDIS_URI ?? "";
const redis = new Redis(uri);
const rates = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));

// Interleaved, so that whatever else the machine does hits all alike; the first round warms up.
for (let round = 0; round <= Number(values.rounds); round += 1) {
  for (const { name, publish } of contenders) {
    const stream = `rxadd-bench-${process.pid}-${round}`;
    const start = performance.now();
    await publish(uri, stream, events);
    const seconds = (performance.now() - start) / 1000;
    const entries = await redis.xlen(stream);
    if (entries !== events.length)
      throw new Error(`${name}: found ${entries} entries, expected ${events.length}`);
    await redis.del(stream, `{${stream}}:rxadd:bench`);
    if (round > 0) rates.get(name)?.push(events.length / seconds);
  }
}
redis.disconnect();
await server?.stop();

const base = median([...rates.values()][0] ?? []);
for (const [name, measured] of rates) {
  const eventsPerSecond = Math.round(median(measured));
  const ratio = Math.round((eventsPerSecond / base) * 100) / 100;
  if (values.json) console.log(JSON.stringify({ name, eventsPerSecond, ratio }));
  else
    console.log(
      `${name.padEnd(42)} ${eventsPerSecond.toLocaleString("en").padStart(10)} events/s ${ratio.toFixed(2).padStart(6)} x`,
    );
}
