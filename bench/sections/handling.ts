import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import { Redis } from "ioredis";
import { acknowledge, groupDeliveries } from "rxadd/consumer";
import { filter, firstValueFrom, scan, tap } from "rxjs";
import { eventsOf } from "../benchEvent.ts";
import { paced } from "../paced.ts";
import { percentiles, type Row } from "../row.ts";
import type { Settings } from "../section.ts";

interface Order {
  readonly n: number;
}

/** Reads so many entries as a new group, and tells the number of each when it is handled and acknowledged. */
type Handle = (
  uri: string,
  stream: string,
  count: number,
  acknowledged: (n: number) => void,
) => Promise<void>;

const group = "bench";

/** The least that a consumer does: reads what is there, handles it, acknowledges it. */
const bareLoop: Handle = async (uri, stream, count, acknowledged) => {
  const redis = new Redis(uri);
  for (let handled = 0; handled < count; ) {
    const reply = await redis.xreadgroup(
      ...(["GROUP", group, "a", "COUNT", 500, "BLOCK", 5000, "STREAMS", stream, ">"] as const),
    );
    const [[, entries] = ["", []]] = (reply ?? []) as [string, [string, string[]][]][];
    const numbers = entries.map(([, [, json = ""]]) => (JSON.parse(json) as Order).n);
    await redis.xack(stream, group, ...entries.map(([id]) => id));
    for (const n of numbers) acknowledged(n);
    handled += entries.length;
  }
  await redis.quit();
};

const rxadd: Handle = async (uri, stream, count, acknowledged) => {
  await firstValueFrom(
    groupDeliveries<Order>({ uri, stream, group, consumer: "a" }).pipe(
      acknowledge(() => undefined),
      tap(({ delivery }) => acknowledged(delivery.event.n)),
      scan((handled) => handled + 1, 0),
      filter((handled) => handled === count),
    ),
  );
};

const contenders: Readonly<Record<string, Handle>> = {
  "XREADGROUP, XACK": bareLoop,
  "rxadd, acknowledge": rxadd,
};

const note = eventsOf(1)[0]?.json ?? "";

/** Adds entries at a steady rate, and records of each the ns from XADD until it is acknowledged. */
async function run(
  handle: Handle,
  { uri, perSecond, seconds }: { readonly uri: string; readonly perSecond: number; readonly seconds: number },
  histogram: RecordableHistogram,
): Promise<void> {
  const redis = new Redis(uri);
  const stream = `rxadd-bench-${process.pid}`;
  const count = perSecond * seconds;
  const sentMs = new Float64Array(count + 1);
  await redis.xgroup("CREATE", stream, group, "0", "MKSTREAM");
  const handling = handle(uri, stream, count, (n) => {
    // The first quarter warms up.
    const ns = Math.round((performance.now() - (sentMs[n] ?? 0)) * 1e6);
    if (n > count / 4) histogram.record(Math.max(1, ns));
  });
  await paced(perSecond, count, (n) => {
    sentMs[n] = performance.now();
    redis.xadd(stream, "*", "event", JSON.stringify({ n, note }));
  });
  await handling;
  await redis.flushall();
  await redis.quit();
}

/** From XADD until the entry is handled and acknowledged, beside the bare loop; they take turns. */
export async function* handling({ uri, rounds }: Settings): AsyncGenerator<Row> {
  for (const perSecond of [100, 1_000, 10_000]) {
    const load = { uri, perSecond, seconds: perSecond < 1_000 ? 5 : 2 };
    const histograms = new Map(Object.keys(contenders).map((name) => [name, createHistogram()]));
    for (let round = 0; round <= rounds; round += 1) {
      for (const [name, handle] of Object.entries(contenders))
        await run(handle, load, (round > 0 && histograms.get(name)) || createHistogram());
    }
    for (const [name, histogram] of histograms)
      yield { section: "handling", name, "entries/s": perSecond, ...percentiles(histogram) };
  }
}
