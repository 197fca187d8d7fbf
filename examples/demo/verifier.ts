import type { ChangeEvent } from "rxadd";
import type { StreamEntry } from "rxadd/consumer";
import type { Written } from "./shop.ts";

/** What a comparison of the stream with the shop's commits has come to so far. */
export interface Verdict {
  /** Changes found in the stream exactly once and in commit order, from the first one on. */
  readonly verified: number;
  /** Rows that were there already, and came as such, each once and as it is behind the changes before it. */
  readonly rows: number;
  /** Rows that were there already, and have come neither so nor with a change. */
  readonly missing: number;
  /** The first that was not; undefined: there is none. */
  readonly difference: string | undefined;
  /** From commit to being read, in ms, sorted. */
  readonly latencies: readonly number[];
  /** Events per second, the newest last. */
  readonly rates: readonly number[];
  /** The newest entries: ID and event. */
  readonly newest: readonly (readonly [entryId: string, event: ChangeEvent])[];
}

/** An entry that was read. */
interface Read {
  readonly op: string;
  readonly id: number;
  readonly amount: number;
}

/** Reads the stream as a consumer would, and compares each entry with what the shop has committed. */
export class Verifier {
  readonly #written: () => readonly Written[];
  /** What was read before the shop knew that it was committed. */
  readonly #early: Read[] = [];
  /** What the table holds behind the changes that were verified: order id → amount. */
  readonly #table: Map<number, number>;
  readonly #missing: Set<number>;
  #verified = 0;
  /** The orders that have come as rows. */
  readonly #came = new Set<number>();
  #difference: string | undefined;
  #latencies: number[] = [];
  #newest: (readonly [string, ChangeEvent])[] = [];
  #rates: number[] = [];
  #rated = { atMs: Date.now(), verified: 0 };

  constructor(stock: ReadonlyMap<number, number>, written: () => readonly Written[]) {
    this.#table = new Map(stock);
    this.#missing = new Set(stock.keys());
    this.#written = written;
  }

  read({ entryId, event }: StreamEntry<ChangeEvent>): void {
    const row = event.after ?? event.before;
    this.#early.push({ op: event.op, id: Number(row?.id), amount: Number(row?.amount) });
    this.#latencies = [...this.#latencies.slice(-499), Math.max(0, Date.now() - event.ts_ms)];
    this.#newest = [[entryId, event] as const, ...this.#newest].slice(0, 6);
  }

  verdict(): Verdict {
    this.#compare();
    const nowMs = Date.now();
    const sinceMs = nowMs - this.#rated.atMs;
    if (sinceMs >= 1000) {
      const perSecond = ((this.#verified - this.#rated.verified) * 1000) / sinceMs;
      this.#rates = [...this.#rates, Math.round(perSecond)].slice(-30);
      this.#rated = { atMs: nowMs, verified: this.#verified };
    }
    return {
      verified: this.#verified,
      rows: this.#came.size,
      missing: this.#missing.size,
      difference: this.#difference,
      latencies: [...this.#latencies].sort((a, b) => a - b),
      rates: this.#rates,
      newest: this.#newest,
    };
  }

  #compare(): void {
    const written = this.#written();
    for (
      let [read] = this.#early;
      read !== undefined && this.#difference === undefined;
      [read] = this.#early
    ) {
      const { op, id, amount } = read;
      const found = `${op} ${id} ${amount}`;
      const expected = op === "r" ? this.#row(id) : written[this.#verified];
      // Nobody has said yet that it is committed.
      if (expected === undefined) return;
      this.#early.shift();
      if (found === expected) this.#take(read);
      else this.#difference = `change ${this.#verified + 1}: found ${found}, expected ${expected}`;
    }
  }

  /** A row as it has to be here. */
  #row(id: number): string {
    return this.#came.has(id) ? `order ${id} once` : `r ${id} ${this.#table.get(id)}`;
  }

  #take({ op, id, amount }: Read): void {
    this.#missing.delete(id);
    if (op === "r") this.#came.add(id);
    else this.#verified += 1;
    if (op === "d") this.#table.delete(id);
    else this.#table.set(id, amount);
  }
}
