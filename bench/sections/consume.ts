import { Redis } from "ioredis";
import { acknowledge, deduplicate, groupDeliveries } from "rxadd/consumer";
import { filter, lastValueFrom, Subject, scan } from "rxjs";
import { eventsOf, type ReadyEvent } from "../benchEvent.ts";
import { median } from "../race.ts";
import { type Row, rounded } from "../row.ts";
import type { Settings } from "../section.ts";

/** Reads so many entries of a stream as a new group, one handler call each, and acknowledges them. */
type Consume = (uri: string, stream: string, group: string, count: number) => Promise<void>;

type RawReply = readonly (readonly [
  stream: string,
  entries: readonly [id: string, fields: readonly string[]][],
])[];

/** What every contender's handler gets. */
let bytesSeen = 0;
function handle({ after: { note } }: { readonly after: { readonly note: string } }): void {
  bytesSeen += note.length;
}

/** As the examples have it: ten at a time, each acknowledged before the next one. */
const straightforward: Consume = async (uri, stream, group, count) => {
  const redis = new Redis(uri);
  await redis.xgroup("CREATE", stream, group, "0");
  for (let handled = 0; handled < count; ) {
    const reply = await redis.xreadgroup(
      "GROUP",
      group,
      "a",
      "COUNT",
      10,
      "BLOCK",
      5000,
      "STREAMS",
      stream,
      ">",
    );
    for (const [, entries] of (reply ?? []) as RawReply) {
      for (const [id, fields] of entries) {
        handle(JSON.parse(fields[1] ?? ""));
        await redis.xack(stream, group, id);
        handled += 1;
      }
    }
  }
  await redis.quit();
};

/** As fast as ioredis goes: large reads, the next one under way meanwhile, one acknowledgement for each. */
const handWritten: Consume = async (uri, stream, group, count) => {
  const [reader, redis] = [new Redis(uri), new Redis(uri)];
  await redis.xgroup("CREATE", stream, group, "0");
  const read = () =>
    reader.xreadgroup("GROUP", group, "a", "COUNT", 500, "BLOCK", 5000, "STREAMS", stream, ">");
  let next = read();
  let acknowledging: Promise<unknown> = Promise.resolve();
  for (let handled = 0; handled < count; ) {
    const reply = (await next) as RawReply;
    const [, entries = []] = reply?.[0] ?? [];
    handled += entries.length;
    if (handled < count) next = read();
    for (const [, fields] of entries) handle(JSON.parse(fields[1] ?? ""));
    await acknowledging;
    acknowledging = redis.xack(stream, group, ...entries.map(([id]) => id));
  }
  await acknowledging;
  await Promise.all([reader.quit(), redis.quit()]);
};

interface Order {
  readonly id: string;
  readonly after: { readonly note: string };
}

function rxadd(isDeduplicating: boolean): Consume {
  return async (uri, stream, group, count) => {
    const until = new Subject<void>();
    const deliveries$ = groupDeliveries<Order>({ uri, stream, group, consumer: "a", until });
    await lastValueFrom(
      (isDeduplicating ? deliveries$.pipe(deduplicate({ key: ({ id }) => id })) : deliveries$).pipe(
        acknowledge((order) => {
          handle(order);
          return undefined;
        }),
        scan((handled) => {
          if (handled + 1 === count) until.next();
          return handled + 1;
        }, 0),
        filter((handled) => handled === count),
      ),
    );
  };
}

const contenders: Readonly<Record<string, Consume>> = {
  "ioredis, XREADGROUP COUNT 10, XACK each": straightforward,
  "ioredis, XREADGROUP COUNT 500, XACK 500": handWritten,
  "rxadd, acknowledge": rxadd(false),
  "rxadd, deduplicate, acknowledge": rxadd(true),
};

async function fill(redis: Redis, stream: string, events: readonly ReadyEvent[]): Promise<void> {
  for (let start = 0; start < events.length; start += 1000) {
    const pipeline = redis.pipeline();
    for (const { json } of events.slice(start, start + 1000)) pipeline.xadd(stream, "*", "event", json);
    await pipeline.exec();
  }
}

/** Every entry handed to a handler by itself, and acknowledged. */
export async function* consume({ uri, events, rounds }: Settings): AsyncGenerator<Row> {
  const redis = new Redis(uri);
  const stream = `rxadd-bench-${process.pid}`;
  await fill(redis, stream, eventsOf(events));
  const rates = new Map(Object.keys(contenders).map((name) => [name, [] as number[]]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, run] of Object.entries(contenders)) {
      const group = `${name} ${round}`;
      // One by one it takes a tenth of a millisecond for each.
      const count = run === straightforward ? events / 20 : events;
      const start = performance.now();
      await run(uri, stream, group, count);
      if (round > 0) rates.get(name)?.push((count * 1000) / (performance.now() - start));
      const [pending] = await redis.xpending(stream, group);
      if (pending !== 0) throw new Error(`${name}: found ${pending} pending entries, expected none`);
      await redis.xgroup("DESTROY", stream, group);
      await redis.del(`{${stream}}:rxadd:${group}:processed`);
    }
  }
  await redis.del(stream);
  await redis.quit();
  if (bytesSeen === 0) throw new Error("no handler saw an event");
  const base = median(rates.values().next().value ?? []);
  for (const [name, all] of rates) {
    const rate = median(all);
    yield {
      section: "consume",
      name,
      "entries/s": Math.round(rate),
      ratio: rounded(rate / base),
    };
  }
}
