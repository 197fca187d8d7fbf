import { Subject } from "rxjs";
import { decide, foundBy, opened } from "../redis/publish/protocol.ts";
import {
  findingOf,
  type LaneKeys,
  type NumberedBatch,
  type OpenReply,
  type PublishReply,
  streamsOf,
  wordsOf,
} from "../redis/publish/publishPort.ts";
import { type Trim, type TrimOptions, trimOf } from "../redis/publish/trimming.ts";
import type { Standing } from "../redis/read/readConnection.ts";
import { MemoryGroups } from "./memoryGroups.ts";
import { MemoryKeys } from "./memoryKeys.ts";
import { MemorySettling } from "./memorySettling.ts";
import { added, entriesOf, type FakeEntry, type MemoryGroup, standingOf, trimmed } from "./memoryStream.ts";

/** What it answers to commands that write, and to no others; undefined: it does them. */
export type Refusal = string | undefined;

/** What is stored in memory, and the two steps of the publish protocol on it, as the scripts do them. */
export class MemoryRedis {
  /** Emits when a command is done that may have changed what others wait for. */
  readonly changed$ = new Subject<void>();
  readonly groups: MemoryGroups;
  readonly settling: MemorySettling;
  readonly #keys: MemoryKeys;
  #refusal: Refusal;

  /** @param mostLost - how many batches it may be told to lose */
  constructor(mostLost: number) {
    this.#keys = new MemoryKeys(mostLost);
    const checkWritable = (needsMemory: boolean) => {
      if (needsMemory || this.#refusal?.startsWith("OOM") !== true) this.#checkWritable();
    };
    this.groups = new MemoryGroups(this.#keys, checkWritable);
    this.settling = new MemorySettling(this.#keys, checkWritable);
  }

  /** Does what may change what others wait for. */
  changing<A>(command: () => A): A {
    try {
      return command();
    } finally {
      this.changed$.next();
    }
  }

  /** Raises the epoch for `owner`, and says where the lane stands. */
  open(keys: LaneKeys, owner: string, adopt: boolean): OpenReply {
    const streams = [keys.stream, keys.deadLetters].filter((key) => key !== undefined);
    const stands = this.#checkTypes(keys, streams);
    const found = this.#keys.stateAt(keys.state);
    const marked = keys.mark === undefined ? 0 : this.#keys.markAt(keys.mark);
    if (found === undefined && marked > 0 && (stands || keys.stream === undefined) && !adopt)
      return { reply: "gone" };
    const foreignEntries = found === undefined && stands ? this.#keys.streamAt(keys.stream ?? "").length : 0;
    const state = opened(found, owner, marked);
    if (state !== found) {
      this.#checkWritable();
      this.#keys.put(keys.state, { kind: "state", state });
      if (keys.mark !== undefined) this.#keys.put(keys.mark, { kind: "mark", epoch: state.epoch });
    }
    const { owner: _owner, ...stood } = state;
    return { reply: "opened", ...stood, foreignEntries };
  }

  /** Adds a batch, or says why it does not belong there. */
  publish(keys: LaneKeys, batch: NumberedBatch, nowMs: number, trim?: Trim): PublishReply {
    const streams = streamsOf(keys, batch.entries);
    const stands = this.#checkTypes(keys, streams);
    const state = foundBy(this.#keys.stateAt(keys.state), batch, keys.expiresMs);
    const verdict = decide(state, batch);
    if (state === undefined || verdict === "missing") return findingOf("missing", state, stands);
    if (verdict === "known") return { reply: "published", entryId: state.entryId, isRenewed: false };
    if (verdict !== "next") return findingOf(verdict, state, stands);

    this.#checkWritable();
    const trims = streams.map((key) => ({ key, trim: trimOf(trim, key, keys.deadLetters) }));
    this.#keys.remember();
    let newest = state.entryId;
    for (const entry of batch.entries) {
      const entryId = this.#append(entry.stream, wordsOf(entry).map(String), nowMs);
      if (entry.stream !== keys.deadLetters) newest = entryId;
    }
    for (const { key, trim } of trims) if (trim !== undefined) this.#trim(key, trim, nowMs);
    const { sequence, position, ahead } = batch;
    this.#keys.put(keys.state, {
      kind: keys.expiresMs === undefined ? "state" : "run",
      state: { ...state, sequence, position, ahead, entryId: newest },
    });
    return { reply: "published", entryId: newest, isRenewed: !stands && state.entryId !== "" };
  }

  /** As XADD; the words are names and values, alternating. */
  add(key: string, words: readonly string[], nowMs: number): string {
    this.#keys.checkStream(key);
    return this.#append(key, words, nowMs);
  }

  entries(key: string): readonly FakeEntry[] {
    return entriesOf(this.#keys.streamAt(key));
  }

  stands(key: string, entryId: string): boolean {
    return this.entries(key).some((entry) => entry.entryId === entryId);
  }

  standing(key: string): Standing {
    this.#keys.checkStream(key);
    return standingOf(this.#keys.streamAt(key));
  }

  /** What a group has not settled, by entry ID. */
  pending(key: string, group: string): MemoryGroup["pending"] {
    return this.#keys.streamAt(key).groups.get(group)?.pending ?? new Map();
  }

  /** The position that a producer state holds. */
  position(key: string): string | undefined {
    return this.#keys.stateAt(key)?.position;
  }

  /** Makes a producer state say a position, as if a batch had gone by. */
  setPosition(key: string, position: string, entry: string): void {
    const { epoch = 1, sequence = 0, owner = "" } = this.#keys.stateAt(key) ?? {};
    const state = { epoch, sequence: sequence + 1, position, ahead: "", entryId: entry, owner };
    this.#keys.put(key, { kind: "state", state });
  }

  /** As SET: the key holds a text from now on, whatever it held before. */
  set(key: string): void {
    this.#keys.put(key, { kind: "string" });
  }

  delete(key: string): void {
    this.#keys.delete(key);
  }

  /** From now on it answers so to what writes. */
  refuseWrites(refusal: Refusal): void {
    this.#refusal = refusal;
  }

  /** Another writer opens every lane that is not one subscription's own. */
  takeOver(): void {
    for (const [key, state] of this.#keys.states())
      this.#keys.put(key, { kind: "state", state: opened(state, "another", 0) });
  }

  /** Forgets the newest batches, and what came between them, as a failover to a replica that had not got them. */
  lose(batches: number): void {
    this.#keys.lose(batches);
  }

  #append(key: string, words: readonly string[], nowMs: number): string {
    const stream = added(this.#keys.streamAt(key), words, nowMs);
    this.#keys.put(key, { kind: "stream", stream });
    return stream.lastId;
  }

  #trim(key: string, trim: TrimOptions, nowMs: number): void {
    if (!this.#keys.has(key)) return;
    this.#keys.put(key, { kind: "stream", stream: trimmed(this.#keys.streamAt(key), trim, nowMs) });
  }

  /** Whether one of the streams stands, that of the dead letters apart. */
  #checkTypes({ deadLetters }: LaneKeys, streams: readonly string[]): boolean {
    for (const key of streams) this.#keys.checkStream(key);
    return streams.some((key) => key !== deadLetters && this.#keys.has(key));
  }

  #checkWritable(): void {
    if (this.#refusal !== undefined) throw new Error(this.#refusal);
  }
}
