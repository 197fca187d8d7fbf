import type { Room } from "../redis/group/groupConnection.ts";
import type { RawEntry } from "../redis/wire/entryReplies.ts";

/** The most that the first read brings; each may bring four times as much: nobody knows yet how large entries are. */
const firstCount = 4;

/** How many entries of each stream a read asks for, so that it brings no more than there is room for. */
export class ReadCount {
  readonly #streams: number;
  // Of the largest entry lately; it fades, as one may be an exception.
  #largest = 1;
  #most = firstCount;

  constructor(streams: number) {
    this.#streams = streams;
  }

  next({ entries, bytes }: Room): number {
    return Math.max(1, Math.floor(Math.min(entries, this.#most, bytes / this.#largest) / this.#streams));
  }

  came(entries: readonly RawEntry[]): void {
    if (entries.length === 0) return;
    this.#most = Math.min(1_000_000, this.#most * 4);
    this.#largest *= 0.8;
    for (const { bytes } of entries) if (bytes > this.#largest) this.#largest = bytes;
  }
}
