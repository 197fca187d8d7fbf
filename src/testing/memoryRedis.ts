import { findingOf, type StoredState } from "../redis/finding.ts";
import {
  type LaneKeys,
  type NumberedBatch,
  type OpenedState,
  type PublishReply,
  streamsOf,
  wordsOf,
} from "../redis/publisher.ts";

/** An entry of a stream in memory. */
export interface FakeEntry {
  readonly entryId: string;
  /** Names and values, alternating. */
  readonly content: readonly string[];
}

/** A producer state; its numbers are texts, as in Redis. */
type State = { readonly [Field in keyof StoredState]: string } & { readonly entry: string };

/** All that is stored; never changed in place, so that an earlier one can be gone back to. */
interface Stored {
  readonly streams: ReadonlyMap<string, readonly FakeEntry[]>;
  readonly states: ReadonlyMap<string, State>;
  /** Keys that hold something else. */
  readonly others: ReadonlySet<string>;
}

const noState: StoredState = { epoch: null, sequence: null, position: null, owner: null };

/** The two steps of the publish protocol on what is stored in memory, as the scripts do them. */
export class MemoryRedis {
  #stored: Stored = { streams: new Map(), states: new Map(), others: new Set() };
  /** What was stored before each batch. */
  readonly #before: Stored[] = [];
  #lastId = { ms: 0, number: 0 };

  /** Raises the epoch for `owner`, and says where the lane stands. */
  open(keys: LaneKeys, owner: string): OpenedState {
    const streams = [keys.stream, keys.deadLetters].filter((key) => key !== undefined);
    this.#checkTypes(streams);
    const state = this.#stored.states.get(keys.state);
    const foreign =
      state === undefined && keys.stream !== undefined ? (this.entries(keys.stream)?.length ?? 0) : 0;
    const { epoch = "0", sequence = "0", position = "", entry = "", owner: before = "" } = state ?? {};
    const raised = `${Number(epoch) + (before === owner ? 0 : 1)}`;
    this.#setState(keys.state, { epoch: raised, sequence, position, entry, owner });
    return {
      epoch: Number(raised),
      sequence: Number(sequence),
      position,
      entryId: entry,
      foreignEntries: foreign,
    };
  }

  /** Adds a batch, or says why it does not belong there. */
  publish(keys: LaneKeys, batch: NumberedBatch, nowMs: number): PublishReply {
    const streams = streamsOf(keys, batch.entries);
    this.#checkTypes(streams);
    const state = this.#stored.states.get(keys.state);
    const stands = streams.some((key) => key !== keys.deadLetters && this.#stored.streams.has(key));
    const finding = findingOf(state ?? noState, stands, batch);
    if (finding?.reply === "published") return { ...finding, entryId: state?.entry ?? "" };
    if (finding !== undefined || state === undefined)
      return finding ?? { reply: "missing", streamStands: stands };

    this.#before.push(this.#stored);
    let newest = state.entry;
    for (const entry of batch.entries) {
      const entryId = this.add(entry.stream, wordsOf(entry), nowMs);
      if (entry.stream !== keys.deadLetters) newest = entryId;
    }
    const isRenewed = !stands && state.entry !== "";
    const { sequence, position } = batch;
    this.#setState(keys.state, { ...state, sequence: `${sequence}`, position, entry: newest });
    return { reply: "published", entryId: newest, isRenewed };
  }

  /** As XADD; the words are names and values, alternating. */
  add(stream: string, words: readonly (string | Buffer)[], nowMs: number): string {
    const { ms, number } = this.#lastId;
    this.#lastId = nowMs > ms ? { ms: Math.floor(nowMs), number: 0 } : { ms, number: number + 1 };
    const entryId = `${this.#lastId.ms}-${this.#lastId.number}`;
    const entries = [...(this.entries(stream) ?? []), { entryId, content: words.map(String) }];
    this.#stored = { ...this.#stored, streams: new Map(this.#stored.streams).set(stream, entries) };
    return entryId;
  }

  entries(stream: string): readonly FakeEntry[] | undefined {
    return this.#stored.streams.get(stream);
  }

  state(key: string): State | undefined {
    return this.#stored.states.get(key);
  }

  /** Holds something that is no stream from now on. */
  occupy(key: string): void {
    this.#stored = { ...this.#stored, others: new Set(this.#stored.others).add(key) };
  }

  delete(key: string): void {
    const streams = new Map(this.#stored.streams);
    const states = new Map(this.#stored.states);
    const others = new Set(this.#stored.others);
    for (const keys of [streams, states, others]) keys.delete(key);
    this.#stored = { streams, states, others };
  }

  /** Another writer opens every lane. */
  takeOver(): void {
    for (const [key, state] of this.#stored.states)
      this.#setState(key, { ...state, epoch: `${Number(state.epoch) + 1}`, owner: "another" });
  }

  /** Forgets the newest batches, as a failover does to a replica that had not got them. */
  lose(batches: number): void {
    const [earlier] = this.#before.splice(-batches);
    if (batches > 0 && earlier !== undefined) this.#stored = earlier;
  }

  #setState(key: string, state: State): void {
    this.#stored = { ...this.#stored, states: new Map(this.#stored.states).set(key, state) };
  }

  #checkTypes(keys: readonly string[]): void {
    const taken = keys.find((key) => this.#stored.others.has(key));
    if (taken !== undefined) throw new Error(`WRONGTYPE ${taken} holds a string`);
  }
}
