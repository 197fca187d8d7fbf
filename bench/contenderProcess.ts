import { eventsOf } from "./benchEvent.ts";
import type { Task } from "./contender.ts";
import { contenders } from "./contenders/index.ts";
import type { Order, Outcome } from "./race.ts";

// The program of `race`: one contender, in a process of its own, runs a task each time that it is told.
const contender = contenders.find(({ name }) => name === process.argv[2]);
if (contender === undefined) throw new Error(`no contender ${process.argv[2]}`);

let made: { readonly key: string; readonly events: Task["events"] } | undefined;

async function run({ count, bytes, ...order }: Order): Promise<Outcome> {
  const key = `${count} ${bytes}`;
  if (made?.key !== key) made = { key, events: eventsOf(count, bytes) };
  const { events } = made;
  const cpu = process.cpuUsage();
  const start = performance.now();
  const measured = await contender?.publish({ ...order, events });
  const seconds = measured ?? (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { seconds, cpuSeconds: measured === undefined ? (user + system) / 1e6 : undefined };
}

process.on("message", async (order: Order) => process.send?.(await run(order)));
process.on("disconnect", () => process.exit());
