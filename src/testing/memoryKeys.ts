import type { Outcome } from "../redis/group/settlement.ts";
import type { Stored as ProducerState } from "../redis/publish/protocol.ts";
import { type MemoryGroup, type MemoryStream, noStream } from "./memoryStream.ts";

/** What a key holds. */
type Stored =
  | { readonly kind: "stream"; readonly stream: MemoryStream }
  | { readonly kind: "state"; readonly state: ProducerState }
  /** The state of one subscription. */
  | { readonly kind: "run"; readonly state: ProducerState }
  | { readonly kind: "mark"; readonly epoch: number }
  /** What a group has processed, and with which batch. */
  | { readonly kind: "processed"; readonly marks: ReadonlyMap<string, number> }
  /** For how long each consumer of a group may be silent, and when it last said that it lives. */
  | { readonly kind: "consumers"; readonly said: ReadonlyMap<string, Said> }
  /** What came of the last batch that a consumer has settled. */
  | { readonly kind: "settled"; readonly token: string; readonly outcomes: readonly Outcome[] }
  | { readonly kind: "string" };

/** What a consumer says of itself beside its stream. */
export interface Said {
  readonly patienceMs: number;
  readonly aliveMs: number;
}

/** What keys hold in memory. */
export class MemoryKeys {
  /** Never changed in place, so that an earlier one can be gone back to. */
  #keys: ReadonlyMap<string, Stored> = new Map();
  /** What was stored before each of the newest batches. */
  readonly #before: ReadonlyMap<string, Stored>[] = [];
  readonly #mostLost: number;

  /** @param mostLost - how many batches it may be told to lose */
  constructor(mostLost: number) {
    this.#mostLost = mostLost;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  put(key: string, stored: Stored): void {
    this.#keys = new Map(this.#keys).set(key, stored);
  }

  delete(key: string): void {
    this.#keys = new Map([...this.#keys].filter(([other]) => other !== key));
  }

  /** All producer states that another writer may open, by key. */
  states(): readonly (readonly [key: string, state: ProducerState])[] {
    return [...this.#keys].flatMap(([key, stored]) =>
      stored.kind === "state" ? [[key, stored.state] as const] : [],
    );
  }

  /** What it holds of a kind; undefined: nothing. */
  at<K extends Stored["kind"]>(key: string, kind: K): Extract<Stored, { readonly kind: K }> | undefined {
    const stored = this.#keys.get(key);
    if (stored === undefined || isOf(stored, kind)) return stored;
    throw wrongType();
  }

  streamAt(key: string): MemoryStream {
    const stored = this.#keys.get(key);
    return stored?.kind === "stream" ? stored.stream : noStream;
  }

  /** A group of a stream, which has to be there. */
  groupAt(key: string, name: string): MemoryGroup {
    this.checkStream(key);
    const group = this.streamAt(key).groups.get(name);
    if (group !== undefined) return group;
    throw new Error(`NOGROUP No such key '${key}' or consumer group '${name}'`);
  }

  putGroup(key: string, name: string, group: MemoryGroup): void {
    const stream = this.streamAt(key);
    this.put(key, { kind: "stream", stream: { ...stream, groups: new Map(stream.groups).set(name, group) } });
  }

  stateAt(key: string): ProducerState | undefined {
    const stored = this.#keys.get(key);
    if (stored === undefined || stored.kind === "state" || stored.kind === "run") return stored?.state;
    throw wrongType();
  }

  /** The epoch that a mark names; 0: there is none. */
  markAt(key: string): number {
    return this.at(key, "mark")?.epoch ?? 0;
  }

  /** As XADD does before it adds. */
  checkStream(key: string): void {
    const kind = this.#keys.get(key)?.kind ?? "stream";
    if (kind !== "stream") throw new Error(`WRONGTYPE ${key} holds a ${kind}`);
  }

  /** What is stored now is what was there before the next batch. */
  remember(): void {
    this.#before.push(this.#keys);
    if (this.#before.length > this.#mostLost) this.#before.shift();
  }

  /** Goes back to what was there before the newest batches. */
  lose(batches: number): void {
    const [earlier] = this.#before.splice(-batches);
    if (batches > 0 && earlier !== undefined) this.#keys = earlier;
  }
}

function isOf<K extends Stored["kind"]>(
  stored: Stored,
  kind: K,
): stored is Extract<Stored, { readonly kind: K }> {
  return stored.kind === kind;
}

function wrongType(): Error {
  return new Error("WRONGTYPE Operation against a key holding the wrong kind of value");
}
