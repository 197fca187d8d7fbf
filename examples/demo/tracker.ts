import type { Checkpoint } from "rxadd";
import type { View } from "./screen.ts";

/** Counts what goes by: events per second, and the time from commit to acknowledgement. */
export class Tracker {
  readonly #started = Date.now();
  /** When the events that are on their way were committed, oldest first. */
  readonly #commits: number[] = [];
  #latencies: number[] = [];
  #published = 0;
  #checkpoint = "none yet";
  #rates: number[] = [];
  #ratedAt = Date.now();
  #ratedCount = 0;
  #waiting: { readonly count: number; readonly resolve: () => void } | undefined;

  /** An event has come out of the source. */
  emitted(committedMs: number): void {
    this.#commits.push(committedMs);
  }

  /** Events have become safe. */
  published({ events, position }: Checkpoint<unknown>): void {
    const now = Date.now();
    for (const committed of this.#commits.splice(0, events))
      this.#latencies.push(Math.max(0, now - committed));
    this.#latencies = this.#latencies.slice(-2000);
    this.#published += events;
    this.#checkpoint = String(position);
    if (this.#waiting !== undefined && this.#published >= this.#waiting.count) this.#waiting.resolve();
  }

  /** Resolves when that many events are safe. */
  reaches(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = { count, resolve };
      if (this.#published >= count) resolve();
    });
  }

  view(): Pick<View, "seconds" | "published" | "rates" | "latencies" | "checkpoint"> {
    const now = Date.now();
    if (now - this.#ratedAt >= 1000) {
      const perSecond = ((this.#published - this.#ratedCount) * 1000) / (now - this.#ratedAt);
      this.#rates = [...this.#rates, Math.round(perSecond)].slice(-30);
      this.#ratedAt = now;
      this.#ratedCount = this.#published;
    }
    return {
      seconds: (now - this.#started) / 1000,
      published: this.#published,
      rates: this.#rates,
      latencies: [...this.#latencies].sort((a, b) => a - b),
      checkpoint: this.#checkpoint,
    };
  }
}
