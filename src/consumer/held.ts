import { BehaviorSubject, defer, type Observable, Subject, startWith } from "rxjs";
import type { ConsumerStatus } from "../telemetry/consumerStatus.ts";
import type { Delivery, Loss } from "./delivery.ts";

/** What tells a delivery from every other one: an entry that comes back has been read anew. */
export type Holding = Pick<Delivery<unknown>, "stream" | "entryId" | "deliveries" | "content">;

/** A delivery, and how much it takes. */
interface Kept {
  holding: Holding;
  readonly bytes: number;
  /** How many starts of it Redis had counted when it came. */
  readonly counted: number;
}

/**
 * Instead of what is let go of. A Map leaves its table behind whenever it makes a new one, and all that stood there
 * outlives the next collections: this cuts it off.
 */
const nothing: Holding = { stream: "", entryId: "", deliveries: 0, content: [] };

interface Limits {
  /** Most deliveries. */
  readonly window: number;
  /** Most bytes; the last read may go beyond them. */
  readonly windowBytes: number;
  /** How much room for deliveries a read pays for. */
  readonly enough: number;
}

/** The deliveries that this consumer has and that are not settled, up to a window. */
export class Held {
  /** Whether there is enough room for reading to pay. */
  readonly hasRoom$ = new BehaviorSubject(true);
  /** How many there are, now and whenever that shrinks. */
  readonly count$: Observable<number> = defer(() => this.#shrunk$.pipe(startWith(this.#count)));
  readonly #limits: Limits;
  readonly #report: (status: ConsumerStatus) => void;
  readonly #byStream = new Map<string, Map<string, Kept>>();
  readonly #shrunk$ = new Subject<number>();
  #hasLost = false;
  #hadRoom = true;
  #count = 0;
  #bytes = 0;
  // Most deliveries are of the stream that the one before was of.
  #latest = { stream: "", entries: new Map<string, Kept>() };

  constructor(limits: Limits, report: (status: ConsumerStatus) => void) {
    this.#limits = limits;
    this.#report = report;
  }

  add(holding: Holding, bytes: number, counted: number): void {
    const entries = this.#entriesOf(holding.stream);
    const before = entries.size;
    entries.set(holding.entryId, { holding, bytes, counted });
    // To look first whether it is held already takes longer than to add up, once in a lifetime.
    if (entries.size === before) this.#bytes = this.#bytesOfAll();
    else this.#bytes += bytes;
    this.#changed(entries.size - before);
  }

  /** The same entry, for another time; it takes as much. */
  replace(holding: Holding): void {
    const kept = this.#kept(holding);
    if (kept !== undefined) kept.holding = holding;
  }

  get(stream: string, entryId: string): Holding | undefined {
    return this.#entriesOf(stream).get(entryId)?.holding;
  }

  /** Whether it is held, for this time. */
  has(holding: Holding): boolean {
    return isSame(this.#kept(holding)?.holding, holding);
  }

  /** The same of one that is not settled: as long as nothing was lost, nothing has to be looked up. */
  isOurs(holding: Holding): boolean {
    return !this.#hasLost || this.has(holding);
  }

  /** How many starts of it Redis had counted when it came. */
  counted(holding: Holding): number {
    return this.#kept(holding)?.counted ?? 0;
  }

  /** Nothing if it is held for another time by now. */
  remove(holding: Holding): void {
    const entries = this.#entriesOf(holding.stream);
    const kept = entries.get(holding.entryId);
    if (kept === undefined || !isSame(kept.holding, holding)) return;
    entries.delete(holding.entryId);
    kept.holding = nothing;
    this.#bytes -= kept.bytes;
    this.#changed(-1);
  }

  /** Tells, of what is held, that it is not this consumer's any more. */
  tellLoss(holding: Holding, loss: Loss): void {
    if (!this.has(holding)) return;
    const { stream, entryId } = holding;
    this.#hasLost = true;
    this.#report({ state: loss === "gone" ? "gone" : "lost", stream, entryId });
  }

  lose(holding: Holding, loss: Loss): void {
    this.tellLoss(holding, loss);
    this.remove(holding);
  }

  all(): readonly Holding[] {
    return [...this.#byStream.values()].flatMap((entries) =>
      [...entries.values()].map(({ holding }) => holding),
    );
  }

  /** How many more there may be. */
  room(): number {
    return this.#limits.window - this.#count;
  }

  /** How many bytes more there may be. */
  bytesRoom(): number {
    return this.#limits.windowBytes - this.#bytes;
  }

  #entriesOf(stream: string): Map<string, Kept> {
    if (this.#latest.stream !== stream) {
      const entries = this.#byStream.get(stream) ?? new Map<string, Kept>();
      this.#byStream.set(stream, entries);
      this.#latest = { stream, entries };
    }
    return this.#latest.entries;
  }

  #kept({ stream, entryId }: Holding): Kept | undefined {
    return this.#entriesOf(stream).get(entryId);
  }

  #bytesOfAll(): number {
    let sum = 0;
    for (const entries of this.#byStream.values()) for (const kept of entries.values()) sum += kept.bytes;
    return sum;
  }

  #changed(change: number): void {
    const { window, windowBytes, enough } = this.#limits;
    this.#count += change;
    const hasRoom = window - this.#count >= enough && (this.#bytes <= windowBytes / 2 || this.#count === 0);
    if (hasRoom !== this.#hadRoom) {
      this.#hadRoom = hasRoom;
      this.hasRoom$.next(hasRoom);
    }
    if (change < 0 && this.#shrunk$.observed) this.#shrunk$.next(this.#count);
  }
}

function isSame(held: Holding | undefined, { deliveries, content }: Holding): boolean {
  return held?.deliveries === deliveries && held.content === content;
}
