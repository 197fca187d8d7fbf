import { decide, opened, type Stored as ProducerState } from "../redis/publish/protocol.ts";
import {
  findingOf,
  type LaneKeys,
  type NumberedBatch,
  type OpenReply,
  type PublishReply,
  streamsOf,
  wordsOf,
} from "../redis/publish/publishPort.ts";
import type { TrimOption } from "../redis/publish/trimming.ts";
import { added, entriesOf, type FakeEntry, type MemoryStream, noStream, trimmed } from "./memoryStream.ts";

/** What a key holds. */
type Stored =
  | { readonly kind: "stream"; readonly stream: MemoryStream }
  | { readonly kind: "state"; readonly state: ProducerState }
  | { readonly kind: "mark"; readonly epoch: number }
  | { readonly kind: "string" };

/** What it answers to commands that write, and to no others; undefined: it does them. */
export type Refusal = string | undefined;

/** The two steps of the publish protocol on what is stored in memory, as the scripts do them. */
export class MemoryRedis {
  /** Never changed in place, so that an earlier one can be gone back to. */
  #keys: ReadonlyMap<string, Stored> = new Map();
  /** What was stored before each of the newest batches. */
  readonly #before: ReadonlyMap<string, Stored>[] = [];
  readonly #mostLost: number;
  #refusal: Refusal;

  /** @param mostLost - how many batches it may be told to lose */
  constructor(mostLost: number) {
    this.#mostLost = mostLost;
  }

  /** Raises the epoch for `owner`, and says where the lane stands. */
  open(keys: LaneKeys, owner: string, adopt: boolean): OpenReply {
    const streams = [keys.stream, keys.deadLetters].filter((key) => key !== undefined);
    const stands = this.#checkTypes(keys, streams);
    const found = this.#stateAt(keys.state);
    const marked = this.#markAt(keys.mark);
    if (found === undefined && marked > 0 && (stands || keys.stream === undefined) && !adopt)
      return { reply: "gone" };
    const foreignEntries = found === undefined && stands ? this.#streamAt(keys.stream ?? "").length : 0;
    const state = opened(found, owner, marked);
    if (state !== found) {
      this.#checkWritable();
      this.#put(keys.state, { kind: "state", state });
      if (keys.mark !== undefined) this.#put(keys.mark, { kind: "mark", epoch: state.epoch });
    }
    const { owner: _owner, ...stood } = state;
    return { reply: "opened", ...stood, foreignEntries };
  }

  /** Adds a batch, or says why it does not belong there. */
  publish(keys: LaneKeys, batch: NumberedBatch, nowMs: number, trim?: TrimOption): PublishReply {
    const streams = streamsOf(keys, batch.entries);
    const stands = this.#checkTypes(keys, streams);
    const state = this.#stateAt(keys.state);
    const verdict = decide(state, batch);
    if (state === undefined || verdict === "missing") return findingOf("missing", state, stands);
    if (verdict === "known") return { reply: "published", entryId: state.entryId, isRenewed: false };
    if (verdict !== "next") return findingOf(verdict, state, stands);

    this.#checkWritable();
    this.#before.push(this.#keys);
    if (this.#before.length > this.#mostLost) this.#before.shift();
    let newest = state.entryId;
    for (const entry of batch.entries) {
      const entryId = this.#append(entry.stream, wordsOf(entry).map(String), nowMs);
      if (entry.stream !== keys.deadLetters) newest = entryId;
    }
    if (trim !== undefined) this.#trim(keys, streams, trim, nowMs);
    const { sequence, position, ahead } = batch;
    this.#put(keys.state, {
      kind: "state",
      state: { ...state, sequence, position, ahead, entryId: newest },
    });
    return { reply: "published", entryId: newest, isRenewed: !stands && state.entryId !== "" };
  }

  /** As XADD; the words are names and values, alternating. */
  add(key: string, words: readonly string[], nowMs: number): string {
    this.#checkType(key);
    return this.#append(key, words, nowMs);
  }

  entries(key: string): readonly FakeEntry[] {
    return entriesOf(this.#streamAt(key));
  }

  /** The position that a producer state holds. */
  position(key: string): string | undefined {
    return this.#stateAt(key)?.position;
  }

  /** Makes a producer state say a position, as if a batch had gone by. */
  setPosition(key: string, position: string, entry: string): void {
    const { epoch = 1, sequence = 0, owner = "" } = this.#stateAt(key) ?? {};
    const state = { epoch, sequence: sequence + 1, position, ahead: "", entryId: entry, owner };
    this.#put(key, { kind: "state", state });
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
      if (stored.kind === "state")
        this.#put(key, { kind: "state", state: opened(stored.state, "another", 0) });
    }
  }

  /** Forgets the newest batches, and what came between them, as a failover to a replica that had not got them. */
  lose(batches: number): void {
    const [earlier] = this.#before.splice(-batches);
    if (batches > 0 && earlier !== undefined) this.#keys = earlier;
  }

  #append(key: string, words: readonly string[], nowMs: number): string {
    const stream = added(this.#streamAt(key), words, nowMs);
    this.#put(key, { kind: "stream", stream });
    return stream.lastId;
  }

  #trim({ deadLetters }: LaneKeys, streams: readonly string[], trim: TrimOption, nowMs: number): void {
    for (const key of streams) {
      if (key !== deadLetters && this.#keys.has(key))
        this.#put(key, { kind: "stream", stream: trimmed(this.#streamAt(key), trim, nowMs) });
    }
  }

  #put(key: string, stored: Stored): void {
    this.#keys = new Map(this.#keys).set(key, stored);
  }

  #streamAt(key: string): MemoryStream {
    const stored = this.#keys.get(key);
    return stored?.kind === "stream" ? stored.stream : noStream;
  }

  #stateAt(key: string): ProducerState | undefined {
    const stored = this.#keys.get(key);
    if (stored === undefined) return undefined;
    if (stored.kind === "state") return stored.state;
    throw new Error("WRONGTYPE Operation against a key holding the wrong kind of value");
  }

  /** The epoch that a mark names; 0: there is none. */
  #markAt(key: string | undefined): number {
    const stored = key === undefined ? undefined : this.#keys.get(key);
    if (stored === undefined) return 0;
    if (stored.kind === "mark") return stored.epoch;
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
