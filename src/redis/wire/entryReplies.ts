import { rxaddError } from "../../errors/rxaddError.ts";

/** An entry as Redis hands it out: names and values, alternating, which need not be text; null: it has been deleted. */
export interface RawEntry<F = Buffer> {
  readonly stream: string;
  readonly entryId: string;
  readonly fields: readonly F[] | null;
  /** How long its names and values are. */
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

type RawFields<F> = readonly [entryId: string | Buffer, fields: readonly F[] | null, deliveries?: unknown];

function unexpected(reply: unknown): never {
  throw rxaddError(
    "Refused",
    `Redis gave an answer that is not one of its streams, but ${Array.isArray(reply) ? "another list" : typeof reply}. Is it a Redis or a Valkey, without a proxy that rewrites answers?`,
  );
}

function sizeOf(fields: readonly { readonly length: number }[] | null): number {
  let size = 0;
  if (fields !== null) for (const { length } of fields) size += length;
  return size;
}

function isName(reply: unknown): reply is string | Buffer {
  return typeof reply === "string" || Buffer.isBuffer(reply);
}

function isFields<F>(reply: unknown): reply is RawFields<F> {
  return Array.isArray(reply) && isName(reply[0]) && (reply[1] === null || Array.isArray(reply[1]));
}

/**
 * Reads a list of entries, as XRANGE, XCLAIM and XAUTOCLAIM give one; before Redis 7 with holes in it. `F` is what the
 * reply was asked for as.
 */
export function entriesOf<F extends string | Buffer = Buffer>(stream: string, reply: unknown): RawEntry<F>[] {
  if (!Array.isArray(reply)) return unexpected(reply);
  const entries: RawEntry<F>[] = [];
  for (const entry of reply) {
    if (entry === null) continue;
    if (!isFields<F>(entry)) return unexpected(entry);
    entries.push({ stream, entryId: entry[0].toString(), fields: entry[1], bytes: sizeOf(entry[1]) });
  }
  return entries;
}

/** Reads what XREAD and XREADGROUP give: in RESP3 names and entries alternate, in RESP2 they are pairs; null: nothing came. */
export function streamsRead(reply: unknown): readonly RawEntry[] {
  if (reply === null) return [];
  if (!Array.isArray(reply)) return unexpected(reply);
  const flat: unknown[] = isName(reply[0]) ? reply : reply.flat(1);
  const entries: RawEntry[][] = [];
  for (let index = 0; index < flat.length; index += 2) {
    const stream = flat[index];
    entries.push(isName(stream) ? entriesOf(stream.toString(), flat[index + 1]) : unexpected(reply));
  }
  return entries.length === 1 && entries[0] !== undefined ? entries[0] : entries.flat();
}

/** Reads what `pendingScript` gives. */
export function pendingRead(stream: string, reply: unknown): Pending {
  if (!Array.isArray(reply) || !Array.isArray(reply[1])) return unexpected(reply);
  const [, list] = reply;
  const next = String(reply[0]);
  return {
    next: next === "" ? undefined : next,
    entries: list.map((entry) => {
      if (!isFields<Buffer>(entry)) return unexpected(entry);
      const [entryId, fields, deliveries] = entry;
      return {
        stream,
        entryId: entryId.toString(),
        fields,
        bytes: sizeOf(fields),
        deliveries: Number(deliveries),
      };
    }),
  };
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
