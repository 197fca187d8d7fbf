import { map, tap } from "rxjs";
import { type Redriven, redrive, type StreamOptions } from "../../admin/index.ts";
import type { StreamsFlags } from "../flags/streamFlags.ts";
import { printRows } from "../terminal/table.ts";
import type { Terminal } from "../terminal/terminal.ts";

/** Which dead letters are put back. */
export interface RedriveFlags extends StreamsFlags {
  readonly group?: string;
  readonly reason?: string;
  readonly minId?: string;
  readonly maxId?: string;
  readonly count?: number;
  readonly dryRun?: boolean;
}

const states: readonly (readonly [Redriven["state"], (count: number) => string])[] = [
  ["redriven", (count) => `redriven ${count}`],
  ["found", (count) => `would redrive ${count}`],
  ["gone", (count) => `${count} gone meanwhile`],
  ["tooLarge", (count) => `${count} left, too large for a script`],
];

/** Puts dead letters back into their streams. */
export async function redriveLetters(
  { out, log }: Terminal,
  at: StreamOptions,
  { group, reason, minId, maxId, count, dryRun, json = false }: RedriveFlags,
): Promise<void> {
  const counts = new Map<Redriven["state"], number>();
  const rows$ = redrive(at, { group, reason, minId, maxId, count, dryRun }).pipe(
    tap(({ state }) => counts.set(state, (counts.get(state) ?? 0) + 1)),
    map((letter) => ({ ...letter })),
  );
  await printRows(
    out,
    rows$,
    {
      letterId: "DEAD LETTER",
      stream: "STREAM",
      entryId: "WAS",
      newEntryId: "IS",
      group: "GROUP",
      state: "STATE",
      reason: "REASON",
    },
    json,
  );
  const told = states.flatMap(([state, say]) => {
    const found = counts.get(state);
    return found === undefined ? [] : [say(found)];
  });
  log(`${at.stream}: ${told.length === 0 ? "found no such dead letters" : told.join(", ")}`);
}
