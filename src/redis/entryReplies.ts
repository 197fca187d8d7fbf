import { sinkError } from "../sinkError.ts";

/** An entry as Redis hands it out: fields and values, alternating; null: it has been deleted. */
export interface RawEntry<F = string> {
  readonly stream: string;
  readonly entryId: string;
  readonly fields: readonly F[] | null;
  /** How long its fields and values are, in characters or bytes. */
  readonly bytes: number;
}

/** An entry that was delivered before. */
export interface PendingEntry extends RawEntry {
  /** How often, as far as is known. */
  readonly deliveries: number;
}

/** Entries that were delivered before, and after which one to go on looking; undefined: these are all. */
export interface Pending {
  readonly entries: readonly PendingEntry[];
  readonly next: string | undefined;
}

type RawFields = readonly [entryId: string, fields: readonly string[] | null, deliveries?: unknown];

function unexpected(reply: unknown): never {
  throw sinkError(
    "Refused",
    `Redis gave an answer that is not one of its streams: ${JSON.stringify(reply)?.slice(0, 200)}. Is it a Redis or a Valkey, without a proxy that rewrites answers?`,
  );
}

function sizeOf(fields: readonly { readonly length: number }[] | null): number {
  let size = 0;
  if (fields !== null) for (const { length } of fields) size += length;
  return size;
}

function isFields(reply: unknown): reply is RawFields {
  return (
    Array.isArray(reply) && typeof reply[0] === "string" && (reply[1] === null || Array.isArray(reply[1]))
  );
}

/** Reads a list of entries, as XRANGE, XCLAIM and XAUTOCLAIM give one; before Redis 7 with holes in it. */
export function entriesOf(stream: string, reply: unknown): RawEntry[] {
  if (!Array.isArray(reply)) return unexpected(reply);
  const entries: RawEntry[] = [];
  for (const entry of reply) {
    if (entry === null) continue;
    if (!isFields(entry)) return unexpected(entry);
    entries.push({ stream, entryId: entry[0], fields: entry[1], bytes: sizeOf(entry[1]) });
  }
  return entries;
}

/** Reads what XREAD and XREADGROUP give: in RESP3 names and entries alternate, in RESP2 they are pairs; null: nothing came. */
export function streamsRead(reply: unknown): readonly RawEntry[] {
  if (reply === null) return [];
  if (!Array.isArray(reply)) return unexpected(reply);
  const flat = typeof reply[0] === "string" ? reply : reply.flat(1);
  const entries: RawEntry[][] = [];
  for (let index = 0; index < flat.length; index += 2) {
    const stream = flat[index];
    entries.push(typeof stream === "string" ? entriesOf(stream, flat[index + 1]) : unexpected(reply));
  }
  return entries.length === 1 && entries[0] !== undefined ? entries[0] : entries.flat();
}

/** Reads what `pendingScript` gives. */
export function pendingRead(stream: string, reply: unknown): Pending {
  if (!Array.isArray(reply) || !Array.isArray(reply[1])) return unexpected(reply);
  const [next, list] = reply;
  return {
    next: next === "" ? undefined : String(next),
    entries: list.map((entry) => {
      if (!isFields(entry)) return unexpected(entry);
      const [entryId, fields, deliveries] = entry;
      return { stream, entryId, fields, bytes: sizeOf(fields), deliveries: Number(deliveries) };
    }),
  };
}

/** Reads what XREAD gives as bytes: names and entry IDs are text all the same. */
export function streamsReadAsBytes(reply: unknown): readonly RawEntry<Buffer>[] {
  if (reply === null) return [];
  if (!Array.isArray(reply)) return unexpected(reply);
  const flat: unknown[] = Buffer.isBuffer(reply[0]) ? reply : reply.flat(1);
  const entries: RawEntry<Buffer>[] = [];
  for (let index = 0; index < flat.length; index += 2) {
    const [stream, list] = [flat[index], flat[index + 1]];
    if (!Buffer.isBuffer(stream) || !Array.isArray(list)) return unexpected(reply);
    for (const [entryId, fields] of list)
      entries.push({ stream: stream.toString(), entryId: String(entryId), fields, bytes: sizeOf(fields) });
  }
  return entries;
}

/** Reads a list of names and values that alternate, as XINFO gives one. */
export function pairsOf(reply: unknown): ReadonlyMap<string, unknown> {
  if (!Array.isArray(reply)) return unexpected(reply);
  const pairs = new Map<string, unknown>();
  for (let index = 0; index + 1 < reply.length; index += 2) pairs.set(String(reply[index]), reply[index + 1]);
  return pairs;
}

/** Reads a list of such lists. */
export function tablesOf(reply: unknown): readonly ReadonlyMap<string, unknown>[] {
  return Array.isArray(reply) ? reply.map(pairsOf) : unexpected(reply);
}
