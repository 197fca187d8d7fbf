import { geq, max } from "fp-ts/lib/Ord.js";
import { ordEntryId } from "../event/entryId.ts";
import type { TrimOptions } from "../redis/publish/trimming.ts";
import type { Standing } from "../redis/read/readConnection.ts";

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
  /** How many it has had. */
  readonly added: number;
  /** The highest of those that were deleted by themselves. */
  readonly lastDeletedId: string;
  readonly groups: ReadonlyMap<string, MemoryGroup>;
}

/** A consumer group of a stream in memory. */
export interface MemoryGroup {
  readonly lastDeliveredId: string;
  /** As Redis counts it, which does not see what was trimmed; undefined: it cannot tell. */
  readonly entriesRead: number | undefined;
  /** By entry ID, in the order of the stream. */
  readonly pending: ReadonlyMap<string, MemoryPending>;
}

/** Who has an entry, since when, and how often it was delivered. */
export interface MemoryPending {
  readonly consumer: string;
  readonly atMs: number;
  readonly deliveries: number;
}

/** A stream that is not there yet. */
export const noStream: MemoryStream = {
  newest: undefined,
  length: 0,
  lastId: "0-0",
  added: 0,
  lastDeletedId: "0-0",
  groups: new Map(),
};

/** As XADD: with an ID of this ms, or after the last one. */
export function added(stream: MemoryStream, content: readonly string[], nowMs: number): MemoryStream {
  const { newest, length, added } = stream;
  const [ms = 0, number = 0] = stream.lastId.split("-").map(Number);
  const now = Math.floor(nowMs);
  const entryId = now > ms ? `${now}-0` : `${ms}-${number + 1}`;
  return {
    ...stream,
    newest: { entry: { entryId, content }, before: newest },
    length: length + 1,
    lastId: entryId,
    added: added + 1,
  };
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

/** As XDEL. */
export function without(stream: MemoryStream, entryId: string): MemoryStream {
  const all = entriesOf(stream);
  const left = all.filter((entry) => entry.entryId !== entryId);
  if (left.length === all.length) return stream;
  let newest: Link | undefined;
  for (const entry of left) newest = { entry, before: newest };
  const lastDeletedId = max(ordEntryId)(stream.lastDeletedId, entryId);
  return { ...stream, newest, length: left.length, lastDeletedId };
}

/** As XINFO STREAM. */
export function standingOf(stream: MemoryStream): Standing {
  const { length, lastId, added, lastDeletedId } = stream;
  return { lastEntryId: lastId, firstEntryId: entriesOf(stream)[0]?.entryId, length, added, lastDeletedId };
}

/** Its entries, oldest first. */
export function entriesOf({ newest, length }: MemoryStream): readonly FakeEntry[] {
  const entries: FakeEntry[] = [];
  for (let link = newest; link !== undefined && entries.length < length; link = link.before)
    entries.push(link.entry);
  return entries.reverse();
}
