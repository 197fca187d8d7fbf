import { geq } from "fp-ts/lib/Ord.js";
import { ordEntryId } from "../event/entryId.ts";
import type { TrimOptions } from "../redis/publish/trimming.ts";

/** An entry of a stream in memory. */
export interface FakeEntry {
  readonly entryId: string;
  /** Names and values, alternating; bytes are read as UTF-8. */
  readonly content: readonly string[];
}

/** An entry and all before it. */
interface Link {
  readonly entry: FakeEntry;
  readonly before: Link | undefined;
}

/** A stream in memory. Adding makes another one that shares the entries, so that an earlier one costs nothing to keep. */
export interface MemoryStream {
  readonly newest: Link | undefined;
  /** How many entries, from the newest on, are still there. */
  readonly length: number;
  /** The ID given last, also of an entry that is gone. */
  readonly lastId: string;
}

/** A stream that is not there yet. */
export const noStream: MemoryStream = { newest: undefined, length: 0, lastId: "0-0" };

/** As XADD: with an ID of this ms, or after the last one. */
export function added(
  { newest, length, lastId }: MemoryStream,
  content: readonly string[],
  nowMs: number,
): MemoryStream {
  const [ms = 0, number = 0] = lastId.split("-").map(Number);
  const now = Math.floor(nowMs);
  const entryId = now > ms ? `${now}-0` : `${ms}-${number + 1}`;
  return { newest: { entry: { entryId, content }, before: newest }, length: length + 1, lastId: entryId };
}

/** As XTRIM where that is exact: whole nodes, which the approximate form removes, there are none. */
export function trimmed(
  stream: MemoryStream,
  { maxLen = stream.length, minId, maxAgeMs, approximate }: TrimOptions,
  nowMs: number,
): MemoryStream {
  if (approximate !== false) return stream;
  const oldest = maxAgeMs === undefined ? minId : `${Math.max(0, Math.floor(nowMs) - maxAgeMs)}`;
  const young =
    oldest === undefined
      ? stream.length
      : entriesOf(stream).filter(({ entryId }) => geq(ordEntryId)(entryId, oldest)).length;
  return { ...stream, length: Math.min(maxLen, young) };
}

/** Its entries, oldest first. */
export function entriesOf({ newest, length }: MemoryStream): readonly FakeEntry[] {
  const entries: FakeEntry[] = [];
  for (let link = newest; link !== undefined && entries.length < length; link = link.before)
    entries.push(link.entry);
  return entries.reverse();
}
