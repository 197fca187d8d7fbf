import { setTimeout as delay } from "node:timers/promises";
import { usedMiB } from "../../kit/load/usedMemory.ts";

/** What a row says of the process that it ran in. */
export interface Peak {
  /** Highest resident memory, in MiB. */
  readonly memoryMiB: number;
  /** How much it has grown since the start, in MiB. */
  readonly growthMiB: number;
}

function residentMiB(): number {
  return process.memoryUsage.rss() / 2 ** 20;
}

/**
 * Looks at the memory every 50 ms until it is told to stop. The process keeps garbage for as long as it likes: where
 * it has grown by more than it may, only what is in use counts as growth.
 */
export function watchMemory(mostGrowthMiB = Number.POSITIVE_INFINITY): () => Peak {
  const usedAtStart = usedMiB();
  const start = residentMiB();
  let highest = start;
  let growth = 0;
  const timer = setInterval(() => {
    const now = residentMiB();
    if (now <= highest) return;
    highest = now;
    growth = Math.max(growth, now - start <= mostGrowthMiB ? now - start : usedMiB() - usedAtStart);
  }, 50);
  return () => {
    clearInterval(timer);
    return { memoryMiB: Math.round(highest), growthMiB: Math.round(growth) };
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
