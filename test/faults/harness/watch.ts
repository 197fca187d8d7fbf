import { setTimeout as delay } from "node:timers/promises";

/** What a row says of the process that it ran in. */
export interface Peak {
  /** Highest resident memory, in MiB. */
  readonly memoryMiB: number;
  /** How much that is above the memory at the start, in MiB. */
  readonly growthMiB: number;
}

function residentMiB(): number {
  return process.memoryUsage.rss() / 2 ** 20;
}

/** Looks at the memory every 50 ms until it is told to stop. */
export function watchMemory(): () => Peak {
  const start = residentMiB();
  let highest = start;
  const timer = setInterval(() => {
    highest = Math.max(highest, residentMiB());
  }, 50);
  return () => {
    clearInterval(timer);
    return { memoryMiB: Math.round(highest), growthMiB: Math.round(highest - start) };
  };
}

/** What keeps a process alive, by kind. */
export function openHandles(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

/** Waits until no more is open than before; else fails with what is. */
export async function nothingLeakedSince(before: ReadonlyMap<string, number>): Promise<void> {
  const leaked = () => [...openHandles()].filter(([kind, count]) => count > (before.get(kind) ?? 0));
  for (let look = 0; look < 500 && leaked().length > 0; look += 1) await delay(10);
  if (leaked().length > 0)
    throw new Error(`left open: ${leaked().map(([kind, count]) => `${count} ${kind}`)}`);
}
