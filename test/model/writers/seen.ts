import type { Log } from "./log.ts";
import type { Content, World } from "./world.ts";

/** What was seen of the streams so far. */
export interface Seen {
  /** Looks again; says what is wrong. */
  readonly look: () => Promise<string | undefined>;
  /** All this was there. */
  readonly was: (contents: readonly Content[]) => void;
  /** This stream was removed, and its producer state stays: what it held may be missing from now on. */
  readonly removed: (key: string, contents: readonly Content[]) => void;
  /** The first event at a position or before it that was never there. */
  readonly missing: (position: number) => number | undefined;
  /** The first event up to this one that is not there now, and that nobody has removed. */
  readonly hole: (last: number) => number | undefined;
}

export function seenOf(world: World, log: Log): Seen {
  const { streams } = world.keys;
  const ever = new Set<number>();
  const removed = new Set<number>();
  let now: readonly Content[] = [];

  const belongs = (n: number, index: number) => n % streams.length === index;
  /** All events up to here have been there. */
  let complete = 0;

  function was(contents: readonly Content[]): void {
    for (const content of contents) for (const n of content) ever.add(n);
  }

  function wrongIn(content: Content, index: number): string | undefined {
    let before = 0;
    for (const n of content) {
      if (!belongs(n, index)) return `event ${n} is in ${streams[index]}`;
      if (n === before) return `event ${n} is there twice in a row: ${content}`;
      if (n < before) {
        const what =
          content.indexOf(n) === content.lastIndexOf(n) ? "stands behind a later one" : "is doubled";
        return `event ${n} ${what}: ${content}`;
      }
      for (let between = before + 1; between < n; between += 1) {
        if (belongs(between, index) && !removed.has(between))
          return `event ${between} is not there, event ${n} is: ${content}`;
      }
      before = n;
    }
    return undefined;
  }

  /** A batch is there as a whole, and its position with it, or not at all; a part of a transaction has none. */
  function halfIn(positions: readonly (number | undefined)[]): string | undefined {
    for (const [index, position] of positions.entries()) {
      if (position === undefined) continue;
      const own = positions.length === 1 ? now.flat() : (now[index] ?? []);
      const last = Math.max(0, ...own);
      if (last > log.partOf(position))
        return `event ${last} is there, the producer state is at position ${position}`;
    }
    return undefined;
  }

  return {
    look: async () => {
      now = await world.contents();
      was(now);
      return now.map(wrongIn).find((wrong) => wrong !== undefined) ?? halfIn(await world.positions());
    },
    was,
    removed: (key, contents) => {
      was(contents);
      for (const n of contents[streams.indexOf(key)] ?? []) removed.add(n);
    },
    missing: (position) => {
      const last = log.upTo(position);
      while (complete < last && ever.has(complete + 1)) complete += 1;
      return complete < last ? complete + 1 : undefined;
    },
    hole: (last) => {
      const there = new Set(now.flat());
      for (let n = 1; n <= last; n += 1) if (!there.has(n) && !removed.has(n)) return n;
      return undefined;
    },
  };
}
