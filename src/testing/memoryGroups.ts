import { gt, leq } from "fp-ts/lib/Ord.js";
import { ordEntryId } from "../event/entryId.ts";
import type { Progress, Room } from "../redis/group/groupConnection.ts";
import type { Pending, PendingEntry, RawEntry } from "../redis/wire/entryReplies.ts";
import { type Member, said } from "./groupMember.ts";
import type { MemoryKeys } from "./memoryKeys.ts";
import {
  entriesOf,
  type FakeEntry,
  type MemoryPending,
  type MemoryStream,
  standingOf,
} from "./memoryStream.ts";

/** What Redis refuses: a replica all that is written, one without memory what needs more. */
export type CheckWritable = (needsMemory: boolean) => void;

/** Reads of groups in memory, as the commands and the script do them. */
export class MemoryGroups {
  readonly #keys: MemoryKeys;
  readonly #checkWritable: CheckWritable;

  constructor(keys: MemoryKeys, checkWritable: CheckWritable) {
    this.#keys = keys;
    this.#checkWritable = checkWritable;
  }

  /** As XGROUP CREATE … MKSTREAM; tells whether it was there. */
  create(key: string, name: string, start: string): boolean {
    this.#keys.checkStream(key);
    this.#checkWritable(true);
    const { groups, lastId } = this.#keys.streamAt(key);
    if (groups.has(name)) return true;
    const lastDeliveredId = start === "$" ? lastId : start;
    this.#keys.putGroup(key, name, { lastDeliveredId, entriesRead: undefined, pending: new Map() });
    return false;
  }

  progress(key: string, name: string): Progress | undefined {
    const stream = this.#keys.streamAt(key);
    const group = stream.groups.get(name);
    if (group === undefined) return undefined;
    const { lastDeliveredId, entriesRead } = group;
    return { lastDeliveredId, entriesRead, standing: standingOf(stream) };
  }

  /** As XREAD: entries after the ID of each stream. */
  read(after: ReadonlyMap<string, string>, count: number): readonly RawEntry[] {
    return [...after].flatMap(([key, entryId]) => {
      this.#keys.checkStream(key);
      return entriesAfter(this.#keys.streamAt(key), entryId, count).map((entry) => rawOf(key, entry));
    });
  }

  /** As XREADGROUP: those that no consumer has had. */
  readNew(
    keys: readonly string[],
    { group: name, consumer }: Member,
    count: number,
    nowMs: number,
  ): readonly RawEntry[] {
    this.#checkWritable(false);
    for (const key of keys) this.#keys.groupAt(key, name);
    return keys.flatMap((key) => {
      const stream = this.#keys.streamAt(key);
      const { lastDeliveredId, entriesRead, pending } = this.#keys.groupAt(key, name);
      const found = entriesAfter(stream, lastDeliveredId, count);
      const last = found.at(-1);
      if (last === undefined) return [];
      this.#keys.putGroup(key, name, {
        lastDeliveredId: last.entryId,
        entriesRead: found.reduce((read, { entryId }) => readBy(stream, entryId, read), entriesRead),
        pending: new Map([
          ...pending,
          ...found.map(({ entryId }) => [entryId, { consumer, atMs: nowMs, deliveries: 1 }] as const),
        ]),
      });
      return found.map((entry) => rawOf(key, entry));
    });
  }

  /** What is pending for a consumer, or is so from now on as others have given no sign of it. */
  readPending(
    which: "own" | "stale",
    key: string,
    member: Member,
    after: string,
    room: Room,
    nowMs: number,
  ): Pending {
    this.#checkWritable(false);
    const { group: name, consumer, claimIdleMs } = member;
    const group = this.#keys.groupAt(key, name);
    if (after === "") said(this.#keys, key, name).introduce(consumer, claimIdleMs);
    const isOwn = which === "own";
    const looked = [...group.pending]
      .filter(([entryId]) => after === "" || gt(ordEntryId)(entryId, after))
      .filter(([, { consumer: owner, atMs }]) => (isOwn ? owner === consumer : nowMs - atMs >= claimIdleMs))
      .slice(0, room.entries);
    const { found, last } = this.#handOut(looked, isOwn, key, member, room, nowMs);
    if (!isOwn) {
      const claimed = found
        .filter(({ fields }) => fields !== null)
        .map(({ entryId, deliveries }) => [entryId, { consumer, atMs: nowMs, deliveries }] as const);
      this.#keys.putGroup(key, name, { ...group, pending: new Map([...group.pending, ...claimed]) });
    }
    const isAll = looked.length < room.entries && last === looked.at(-1)?.[0];
    return { entries: found, next: isAll ? undefined : last };
  }

  /** As many as there is room for; what was deleted has no fields. */
  #handOut(
    looked: readonly (readonly [entryId: string, pending: MemoryPending])[],
    isOwn: boolean,
    key: string,
    { group, claimIdleMs }: Member,
    room: Room,
    nowMs: number,
  ): { readonly found: readonly PendingEntry[]; readonly last: string | undefined } {
    const entries = new Map(entriesOf(this.#keys.streamAt(key)).map((entry) => [entry.entryId, entry]));
    const found: PendingEntry[] = [];
    let last: string | undefined;
    let bytes = 0;
    for (const [entryId, { consumer, atMs, deliveries }] of looked) {
      const { patienceMs, aliveMs } = said(this.#keys, key, group).by(consumer);
      const patience = isOwn ? 0 : Math.max(claimIdleMs, patienceMs);
      const entry = entries.get(entryId);
      if (nowMs - atMs >= patience && entry !== undefined) {
        const raw = rawOf(key, entry);
        bytes += raw.bytes;
        if (bytes > room.bytes && found.length > 0) break;
        found.push({ ...raw, deliveries });
      } else if (nowMs - atMs >= patience && (isOwn || nowMs - aliveMs >= patience))
        found.push({ stream: key, entryId, fields: null, bytes: 0, deliveries });
      last = entryId;
    }
    return { found, last };
  }
}

function entriesAfter(stream: MemoryStream, after: string, count: number): readonly FakeEntry[] {
  return entriesOf(stream)
    .filter(({ entryId }) => gt(ordEntryId)(entryId, after))
    .slice(0, count);
}

function rawOf(stream: string, { entryId, content }: FakeEntry): RawEntry {
  const fields = content.map((word) => Buffer.from(word));
  return { stream, entryId, fields, bytes: fields.reduce((sum, { length }) => sum + length, 0) };
}

/** How many a group has read by an entry, as Redis counts: one more, or by where the entry stands if that says it. */
function readBy(stream: MemoryStream, entryId: string, before: number | undefined): number | undefined {
  const { firstEntryId, lastEntryId, lastDeletedId } = standingOf(stream);
  const { added, length } = stream;
  const isWhole = leq(ordEntryId)(lastDeletedId, entryId);
  if (before !== undefined && isWhole) return before + 1;
  if (entryId === lastEntryId) return added;
  return entryId === firstEntryId && isWhole ? added - length + 1 : undefined;
}
