import { hash } from "node:crypto";
import type { Positions } from "../../event/positions.ts";
import type { Entry } from "../encode/entry.ts";
import type { Ahead } from "./stand.ts";

/**
 * Whether an event is in the stream already:
 * - `new`: it is not;
 * - `known`: it was there when the lane was opened;
 * - `behind`: the source has gone back in this run, to what it has sent before;
 * - `clash`: it stands where another event does, and nobody could tell after a crash which of the two is there.
 */
export type Replay = "new" | "known" | "behind" | "clash";

/** What is remembered of an event from one batch to the next: as much as tells it from others, and none of its memory. */
interface Trace extends Pick<Entry<unknown>, "id" | "words" | "transaction"> {
  readonly digest: string;
}

/** Whether it is one event. The ID alone does not tell: it may be that of a row, which a transaction changes several times. */
function isSame<P>(one: Entry<P>, other: Entry<P> | Trace): boolean {
  if (one.id === undefined || one.id !== other.id || one.words !== other.words || one.words === 0)
    return false;
  if ("digest" in other) return digestOf(one) === other.digest;
  return one.memory.compare(other.memory, other.start, other.end, one.start, one.end) === 0;
}

/**
 * Tells replayed events from new ones, by their positions, given in order. Without positions, or an order, all are new.
 *
 * Events of one transaction may share a position: those that come again are counted, so that neither the first ones
 * are doubled nor the others lost. Two that are the same, in ID and content, count as one that comes again. Others may not.
 */
export class ReplayFilter<P> {
  readonly #positions: Positions<P>;
  readonly #ahead: Ahead | undefined;
  #last: P | undefined;
  /** The first and the newest event at `last` in this run, and how many there are. */
  #first: Entry<P> | Trace | undefined;
  #newest: Entry<P> | Trace | undefined;
  #events = 0;
  /** How many of them come again. */
  #again = 0;
  #toCome: Ahead | undefined;
  #firstToCome: Entry<P> | Trace | undefined;

  /**
   * @param stored - up to where all is there when the lane is opened
   * @param ahead - what is there of the position after it
   */
  constructor(positions: Positions<P>, stored: P | undefined, ahead: Ahead | undefined) {
    this.#positions = positions;
    this.#last = stored;
    this.#ahead = ahead;
    this.#toCome = ahead;
  }

  /** Asked of each event, in order. */
  verdictOf(entry: Entry<P>): Replay {
    const { position } = entry;
    if (position === undefined) return "new";
    if (this.#last === undefined) return this.#beyond(entry, position);
    const order = this.#positions.compare?.(position, this.#last) ?? 1;
    if (order > 0) return this.#beyond(entry, position);
    if (order === 0) return this.#here(entry);
    this.#again = this.#events;
    if (this.#toCome !== undefined) this.#firstToCome = undefined;
    return this.#newest === undefined ? "known" : "behind";
  }

  /** Lets go of the entries that it has been asked of: of thousands of lanes each would keep the memory of some. */
  rest(): void {
    const isOne = this.#newest === this.#first;
    this.#first &&= traceOf(this.#first);
    this.#newest = isOne ? this.#first : this.#newest && traceOf(this.#newest);
    this.#firstToCome &&= traceOf(this.#firstToCome);
  }

  /** At a position that nothing of this run has had. */
  #beyond(entry: Entry<P>, position: P): Replay {
    if (this.#toCome !== undefined && this.#positions.encode(position) === this.#toCome.position)
      return this.#knownAhead(entry, this.#toCome);
    this.#toCome = undefined;
    this.#last = position;
    this.#first = entry;
    this.#newest = entry;
    this.#events = 1;
    this.#again = 0;
    return "new";
  }

  /** One of those that are there of the position after the stored one. */
  #knownAhead(entry: Entry<P>, toCome: Ahead): "known" {
    const isFirst = this.#firstToCome === undefined || isSame(entry, this.#firstToCome);
    if (isFirst) this.#firstToCome = entry;
    const left = ((isFirst && this.#ahead) || toCome).events - 1;
    this.#toCome = left > 0 ? { ...toCome, events: left } : undefined;
    if (left <= 0) {
      this.#last = entry.position;
      this.#first = this.#firstToCome;
      this.#newest = entry;
      this.#events = this.#ahead?.events ?? 1;
      this.#again = 0;
    }
    return "known";
  }

  /** At the position of the event before. */
  #here(entry: Entry<P>): Replay {
    if (this.#first === undefined || this.#newest === undefined) return "known";
    if (isSame(entry, this.#first)) {
      this.#again = this.#events - 1;
      return "behind";
    }
    if (this.#again > 0) {
      this.#again -= 1;
      return "behind";
    }
    if (isSame(entry, this.#newest)) return "behind";
    // Outside a transaction a position is one event's: its ID tells, whatever else it says this time.
    if (entry.transaction === undefined || entry.transaction.id !== this.#newest.transaction?.id)
      return entry.id !== undefined && entry.id === this.#newest.id ? "behind" : "clash";
    this.#newest = entry;
    this.#events += 1;
    return "new";
  }
}

function traceOf<P>(entry: Entry<P> | Trace): Trace {
  if ("digest" in entry) return entry;
  const { id, words, transaction } = entry;
  // Without an ID nobody asks for it.
  return { id, words, transaction, digest: id === undefined ? "" : digestOf(entry) };
}

/** Two that are alike have the same content. */
function digestOf<P>({ memory, start, end }: Entry<P>): string {
  return hash("sha256", memory.subarray(start, end), "base64");
}
