import type { Stored as ProducerState } from "../redis/publish/protocol.ts";
import { type MemoryStream, noStream } from "./memoryStream.ts";

/** What a key holds. */
type Stored =
  | { readonly kind: "stream"; readonly stream: MemoryStream }
  | { readonly kind: "state"; readonly state: ProducerState }
  /** The state of one subscription. */
  | { readonly kind: "run"; readonly state: ProducerState }
  | { readonly kind: "mark"; readonly epoch: number }
  | { readonly kind: "string" };

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

  streamAt(key: string): MemoryStream {
    const stored = this.#keys.get(key);
    return stored?.kind === "stream" ? stored.stream : noStream;
  }

  stateAt(key: string): ProducerState | undefined {
    const stored = this.#keys.get(key);
    if (stored === undefined || stored.kind === "state" || stored.kind === "run") return stored?.state;
    throw wrongType();
  }

  /** The epoch that a mark names; 0: there is none. */
  markAt(key: string): number {
    const stored = this.#keys.get(key);
    if (stored === undefined || stored.kind === "mark") return stored?.epoch ?? 0;
    throw wrongType();
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

function wrongType(): Error {
  return new Error("WRONGTYPE Operation against a key holding the wrong kind of value");
}
