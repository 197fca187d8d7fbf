import { geq } from "fp-ts/lib/Ord.js";
import { ordEntryId } from "../consumer/entryId.ts";
import { findingOf, type StoredState } from "../redis/finding.ts";
import {
  type LaneKeys,
  type NumberedBatch,
  type OpenedState,
  type PublishReply,
  streamsOf,
  wordsOf,
} from "../redis/publisher.ts";
import type { TrimOption } from "../redis/trimming.ts";

/** An entry of a stream in memory. */
export interface FakeEntry {
  readonly entryId: string;
  /** Names and values, alternating; bytes are read as UTF-8. */
  readonly content: readonly string[];
}

/** A producer state; its numbers are texts, as in Redis. */
type State = { readonly [Field in keyof StoredState]: string } & { readonly entry: string };

/** What a key holds. */
type Stored =
  | { readonly kind: "stream"; readonly entries: readonly FakeEntry[]; readonly lastId: string }
  | { readonly kind: "hash"; readonly state: State }
  | { readonly kind: "string" };

type Stream = Extract<Stored, { readonly kind: "stream" }>;

const noStream: Stream = { kind: "stream", entries: [], lastId: "0-0" };
const noState: StoredState = { epoch: null, sequence: null, position: null, owner: null };

/** What it answers to commands that write, and to no others; undefined: it does them. */
export type Refusal = string | undefined;

/** The two steps of the publish protocol on what is stored in memory, as the scripts do them. */
export class MemoryRedis {
  /** Never changed in place, so that an earlier one can be gone back to. */
  #keys: ReadonlyMap<string, Stored> = new Map();
  /** What was stored before each batch. */
  readonly #before: ReadonlyMap<string, Stored>[] = [];
  #refusal: Refusal;

  /** Raises the epoch for `owner`, and says where the lane stands. */
  open(keys: LaneKeys, owner: string): OpenedState {
    const streams = [keys.stream, keys.deadLetters].filter((key) => key !== undefined);
    const stands = this.#checkTypes(keys, streams);
    const found = this.#stateAt(keys.state);
    const foreign = found === undefined && stands ? this.entries(keys.stream ?? "").length : 0;
    const { epoch = "0", sequence = "0", position = "", entry = "", owner: before } = found ?? {};
    const raised = before === owner ? epoch : `${Number(epoch) + 1}`;
    if (before !== owner) {
      this.#checkWritable();
      this.#put(keys.state, { kind: "hash", state: { epoch: raised, sequence, position, entry, owner } });
    }
    return {
      epoch: Number(raised),
      sequence: Number(sequence),
      position,
      entryId: entry,
      foreignEntries: foreign,
    };
  }

  /** Adds a batch, or says why it does not belong there. */
  publish(keys: LaneKeys, batch: NumberedBatch, nowMs: number, trim?: TrimOption): PublishReply {
    const streams = streamsOf(keys, batch.entries);
    const stands = this.#checkTypes(keys, streams);
    const state = this.#stateAt(keys.state);
    const finding = findingOf(state ?? noState, stands, batch);
    if (finding?.reply === "published") return { ...finding, entryId: state?.entry ?? "" };
    if (finding !== undefined) return finding;
    if (state === undefined) return { reply: "missing", streamStands: stands };

    this.#checkWritable();
    this.#before.push(this.#keys);
    const newest = this.#addAll(keys, batch, nowMs) ?? state.entry;
    if (trim !== undefined) {
      for (const key of streams) if (key !== keys.deadLetters) this.#trim(key, trim, nowMs);
    }
    const { sequence, position } = batch;
    this.#put(keys.state, {
      kind: "hash",
      state: { ...state, sequence: `${sequence}`, position, entry: newest },
    });
    return { reply: "published", entryId: newest, isRenewed: !stands && state.entry !== "" };
  }

  /** As XADD; the words are names and values, alternating. */
  add(key: string, words: readonly string[], nowMs: number): string {
    this.#checkType(key);
    const entryId = nextId(this.#streamAt(key).lastId, nowMs);
    this.#append(key, [{ entryId, content: words }]);
    return entryId;
  }

  entries(key: string): readonly FakeEntry[] {
    return this.#streamAt(key).entries;
  }

  /** The position that a producer state holds. */
  position(key: string): string | undefined {
    return this.#stateAt(key)?.position;
  }

  /** Makes a producer state say a position, as if a batch had gone by. */
  setPosition(key: string, position: string, entry: string): void {
    const { epoch = "1", sequence = "0", owner = "" } = this.#stateAt(key) ?? {};
    const state = { epoch, sequence: `${Number(sequence) + 1}`, position, entry, owner };
    this.#put(key, { kind: "hash", state });
  }

  /** As SET: the key holds a text from now on, whatever it held before. */
  set(key: string): void {
    this.#put(key, { kind: "string" });
  }

  delete(key: string): void {
    this.#keys = new Map([...this.#keys].filter(([other]) => other !== key));
  }

  /** From now on it answers so to what writes. */
  refuseWrites(refusal: Refusal): void {
    this.#refusal = refusal;
  }

  /** Another writer opens every lane. */
  takeOver(): void {
    for (const [key, stored] of this.#keys) {
      if (stored.kind !== "hash") continue;
      const epoch = `${Number(stored.state.epoch) + 1}`;
      this.#put(key, { kind: "hash", state: { ...stored.state, epoch, owner: "another" } });
    }
  }

  /** Forgets the newest batches, and what came between them, as a failover to a replica that had not got them. */
  lose(batches: number): void {
    const [earlier] = this.#before.splice(-batches);
    if (batches > 0 && earlier !== undefined) this.#keys = earlier;
  }

  /** Returns the ID of the last entry that is no dead letter. */
  #addAll(keys: LaneKeys, { entries }: NumberedBatch, nowMs: number): string | undefined {
    const added = new Map<string, FakeEntry[]>();
    let newest: string | undefined;
    for (const entry of entries) {
      const toStream = added.get(entry.stream) ?? [];
      const lastId = toStream.at(-1)?.entryId ?? this.#streamAt(entry.stream).lastId;
      const entryId = nextId(lastId, nowMs);
      toStream.push({ entryId, content: wordsOf(entry).map(String) });
      added.set(entry.stream, toStream);
      if (entry.stream !== keys.deadLetters) newest = entryId;
    }
    for (const [key, some] of added) this.#append(key, some);
    return newest;
  }

  #append(key: string, some: readonly FakeEntry[]): void {
    const { entries, lastId } = this.#streamAt(key);
    this.#put(key, {
      kind: "stream",
      entries: [...entries, ...some],
      lastId: some.at(-1)?.entryId ?? lastId,
    });
  }

  /** Only what is exact: whole nodes, which the approximate form removes, there are none. */
  #trim(key: string, { maxLen, minId, maxAgeMs, approximate }: TrimOption, nowMs: number): void {
    const stored = this.#keys.get(key);
    if (approximate !== false || stored?.kind !== "stream") return;
    const oldest = maxAgeMs === undefined ? minId : `${Math.max(0, Math.floor(nowMs) - maxAgeMs)}`;
    const young =
      oldest === undefined
        ? stored.entries
        : stored.entries.filter(({ entryId }) => geq(ordEntryId)(entryId, oldest));
    this.#put(key, { ...stored, entries: maxLen === undefined ? young : young.slice(-maxLen) });
  }

  #put(key: string, stored: Stored): void {
    this.#keys = new Map(this.#keys).set(key, stored);
  }

  #streamAt(key: string): Stream {
    const stored = this.#keys.get(key);
    return stored?.kind === "stream" ? stored : noStream;
  }

  #stateAt(key: string): State | undefined {
    const stored = this.#keys.get(key);
    if (stored === undefined) return undefined;
    if (stored.kind === "hash") return stored.state;
    throw new Error("WRONGTYPE Operation against a key holding the wrong kind of value");
  }

  /** Whether one of the streams stands, that of the dead letters apart. */
  #checkTypes(keys: LaneKeys, streams: readonly string[]): boolean {
    for (const key of streams) this.#checkType(key);
    return streams.some((key) => key !== keys.deadLetters && this.#keys.has(key));
  }

  #checkType(key: string): void {
    const kind = this.#keys.get(key)?.kind ?? "stream";
    if (kind !== "stream") throw new Error(`WRONGTYPE ${key} holds a ${kind}`);
  }

  #checkWritable(): void {
    if (this.#refusal !== undefined) throw new Error(this.#refusal);
  }
}

/** The ID that XADD gives: of this ms, or after the last one. */
function nextId(lastId: string, nowMs: number): string {
  const [ms = 0, number = 0] = lastId.split("-").map(Number);
  const now = Math.floor(nowMs);
  return now > ms ? `${now}-0` : `${ms}-${number + 1}`;
}
