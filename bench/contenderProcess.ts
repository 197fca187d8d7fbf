import { type BenchEvent, eventsOf, type ReadyEvent, rowsOf } from "./benchEvent.ts";
import { contenders } from "./contenders/index.ts";
import type { Order, Outcome } from "./race.ts";

// The program of `race`: one contender, in a process of its own, runs a task each time that it is told.
const contender = contenders.find(({ name }) => name === process.argv[2]);
if (contender === undefined) throw new Error(`no contender ${process.argv[2]}`);

let made: { readonly key: string; readonly events: readonly ReadyEvent[] } | undefined;

/** Texts are there before it starts; rows are made on the way. */
function eventsFor({ kind, count, bytes }: Order): Iterable<BenchEvent> {
  if (kind === "row") return rowsOf(count, bytes);
  const key = `${count} ${bytes}`;
  if (made?.key !== key) made = { key, events: eventsOf(count, bytes) };
  return made.events;
}

async function run(order: Order): Promise<Outcome> {
  const events = eventsFor(order);
  const cpu = process.cpuUsage();
  const start = performance.now();
  const measured = await contender?.publish({ ...order, events });
  const seconds = measured ?? (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return {
    seconds,
    cpuSeconds: measured === undefined ? (user + system) / 1e6 : undefined,
    peakMiB: measured === undefined ? process.resourceUsage().maxRSS / 1024 : undefined,
  };
}

process.on("message", async (order: Order) => process.send?.(await run(order)));
process.on("disconnect", () => process.exit());
