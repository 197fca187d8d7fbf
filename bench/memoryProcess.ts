import { PerformanceObserver } from "node:perf_hooks";
import { type Flow, fromIterable, redisSink } from "rxadd";
import { BehaviorSubject } from "rxjs";
import { eventOf, type ReadyEvent } from "./benchEvent.ts";

// The program of the section `memory`: publishes events that it makes on the way, and says what it holds.
const [uri = "", stream = ""] = process.argv.slice(2);
const events = 5_000_000;
const step = 500_000;
const mib = (bytes: number) => Math.round(bytes / 1024 / 1024);

let gcMs = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) gcMs += duration;
}).observe({ entryTypes: ["gc"] });

function* make(): Generator<ReadyEvent> {
  for (let position = 1; position <= events; position += 1) yield eventOf(position);
}

const flow = new BehaviorSubject<Flow>("resume");
const start = performance.now();
let told = 0;
await fromIterable(make(), flow)
  .pipe(
    redisSink<ReadyEvent, number>({ id: "bench", uri, stream, flow, event: { encode: ({ json }) => json } }),
  )
  .forEach(({ position = 0 }) => {
    if (position < told + step) return;
    told += step;
    const gcShare = `${((gcMs / (performance.now() - start)) * 100).toFixed(1)} %`;
    process.send?.({ events: told, "RSS MiB": mib(process.memoryUsage.rss()), gcShare });
  });
process.disconnect();
