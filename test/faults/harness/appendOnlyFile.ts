import { execFileSync } from "node:child_process";
import { readFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import type { Redis } from "ioredis";

/** Where a server of Redis 7 keeps its append-only file. */
export interface AppendOnlyFile {
  readonly manifest: string;
  /** The file that is written now. */
  readonly newest: string;
  /** The one that the next rewrite begins. */
  readonly next: string;
}

/** Asks a server where its append-only file is now. */
export async function appendOnlyFileOf(client: Redis): Promise<AppendOnlyFile> {
  const [, folder = ""] = (await client.config("GET", "dir")) as string[];
  const inFolder = (name: string) => join(folder, "appendonlydir", name);
  const manifest = inFolder("appendonly.aof.manifest");
  const numbers = [...readFileSync(manifest, "utf8").matchAll(/ seq (\d+) type i/g)].map(([, n]) =>
    Number(n),
  );
  const newest = Math.max(...numbers);
  const file = (number: number) => inFolder(`appendonly.aof.${number}.incr.aof`);
  return { manifest, newest: file(newest), next: file(newest + 1) };
}

/** Cuts off what a crash, or a kill, has left of the last transaction. */
export function fix({ manifest }: AppendOnlyFile): void {
  execFileSync("redis-check-aof", ["--fix", manifest], { input: "y\n" });
}

/** Why it cannot be fixed here; undefined: it can. */
export const noCheckAof = ((): string | undefined => {
  try {
    execFileSync("sh", ["-c", "command -v redis-check-aof"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "redis-check-aof is not there";
  }
})();

/** Its size in bytes. */
export function sizeOf({ newest }: AppendOnlyFile): number {
  return statSync(newest).size;
}

/** Cuts this many bytes off its end, as a power loss does that comes before they are on disk. */
export function cutEnd(aof: AppendOnlyFile, bytes: number): void {
  truncateSync(aof.newest, sizeOf(aof) - bytes);
}

/**
 * Cuts it inside an XADD that stands inside a transaction, neither of them the first. Returns how many whole
 * XADDs the rest of that transaction has.
 */
export function cutInsideTransaction(aof: AppendOnlyFile, pick: (most: number) => number): number {
  const bytes = readFileSync(aof.newest);
  let end = bytes.length;
  for (;;) {
    const start = bytes.lastIndexOf("*1\r\n$5\r\nMULTI\r\n", end - 1);
    if (start < 0) throw new Error(`${aof.newest} has no transaction of two XADDs`);
    const adds = positionsOf("\r\nXADD\r\n", bytes.subarray(start, end));
    if (adds.length > 1) {
      const whole = pick(adds.length - 1);
      truncateSync(aof.newest, start + (adds[whole] ?? 0) + 20);
      return whole;
    }
    end = start;
  }
}

function positionsOf(text: string, bytes: Buffer): number[] {
  const positions: number[] = [];
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) positions.push(at);
  return positions;
}
