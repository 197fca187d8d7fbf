import type { Cluster, Redis } from "ioredis";

/** What a stream holds, compared with what it has to hold. */
export interface Tally {
  readonly entries: number;
  /** Expected events that are nowhere. */
  readonly lost: number;
  /** Entries of an event that stands there already. */
  readonly duplicates: number;
  /** First entries that stand behind a later event. */
  readonly inversions: number;
}

/** Counts for the events 1 to `expected`, by the number that `numberOf` finds in an entry's `event`. */
export function tally(numbers: Iterable<number>, expected: number): Tally {
  const seen = new Set<number>();
  let entries = 0;
  let inversions = 0;
  let highest = 0;
  for (const number of numbers) {
    entries += 1;
    if (seen.has(number)) continue;
    seen.add(number);
    if (number < highest) inversions += 1;
    highest = Math.max(highest, number);
  }
  let lost = 0;
  for (let number = 1; number <= expected; number += 1) if (!seen.has(number)) lost += 1;
  return { entries, lost, duplicates: entries - seen.size, inversions };
}

/** Every entry of a stream, read page by page: its ID and its field `event`. */
export async function readEvents(client: Redis | Cluster, stream: string): Promise<string[]> {
  const events: string[] = [];
  let start = "-";
  for (;;) {
    const page = await client.xrange(stream, start, "+", "COUNT", 10_000);
    for (const [id, fields] of page) {
      events.push(fields[fields.indexOf("event") + 1] ?? "");
      start = `(${id}`;
    }
    if (page.length < 10_000) return events;
  }
}

/** The tally of a stream whose events are JSON objects with a field `n`, from 1 to `expected`. */
export async function tallyStream(client: Redis | Cluster, stream: string, expected: number): Promise<Tally> {
  const events = await readEvents(client, stream);
  return tally(
    events.map((event) => Number(JSON.parse(event).n)),
    expected,
  );
}
