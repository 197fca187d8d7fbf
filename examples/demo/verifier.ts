import type { ChangeEvent } from "rxadd";
import type { StreamEntry } from "rxadd/consumer";
import type { Written } from "./shop.ts";

/** What a comparison of the stream with the shop's commits has come to so far. */
export interface Verdict {
  /** Changes found in the stream exactly once and in commit order, from the first one on. */
  readonly verified: number;
  /** The first that was not; undefined: there is none. */
  readonly difference: string | undefined;
  /** From commit to being read, in ms, sorted. */
  readonly latencies: readonly number[];
  /** Events per second, the newest last. */
  readonly rates: readonly number[];
  /** The newest entries: ID and event. */
  readonly newest: readonly (readonly [entryId: string, event: ChangeEvent])[];
}

/** Reads the stream as a consumer would, and compares each entry with what the shop has committed. */
export class Verifier {
  readonly #written: () => readonly Written[];
  /** What was read before the shop knew that it was committed. */
  readonly #early: Written[] = [];
  #verified = 0;
  #difference: string | undefined;
  #latencies: number[] = [];
  #newest: (readonly [string, ChangeEvent])[] = [];
  #rates: number[] = [];
  #rated = { atMs: Date.now(), verified: 0 };

  constructor(written: () => readonly Written[]) {
    this.#written = written;
  }

  read({ entryId, event }: StreamEntry<ChangeEvent>): void {
    const row = event.after ?? event.before;
    this.#early.push(`${event.op} ${row?.id} ${row?.amount}` as Written);
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
      difference: this.#difference,
      latencies: [...this.#latencies].sort((a, b) => a - b),
      rates: this.#rates,
      newest: this.#newest,
    };
  }

  #compare(): void {
    const written = this.#written();
    while (this.#difference === undefined && this.#early.length > 0 && this.#verified < written.length) {
      const [found, expected] = [this.#early.shift(), written[this.#verified]];
      if (found === expected) this.#verified += 1;
      else this.#difference = `change ${this.#verified + 1}: found ${found}, expected ${expected}`;
    }
  }
}
