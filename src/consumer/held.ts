import { BehaviorSubject, defer, type Observable, Subject, startWith } from "rxjs";
import type { ConsumerStatus } from "../telemetry/consumerStatus.ts";
import type { Loss } from "./delivery.ts";
import type { Holding } from "./holding.ts";

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
  readonly #byStream = new Map<string, Map<string, Holding>>();
  readonly #shrunk$ = new Subject<number>();
  #hasLost = false;
  #hadRoom = true;
  #count = 0;
  #bytes = 0;
  // Most deliveries are of the stream that the one before was of.
  #latest = { stream: "", entries: new Map<string, Holding>() };

  constructor(limits: Limits, report: (status: ConsumerStatus) => void) {
    this.#limits = limits;
    this.#report = report;
  }

  add(holding: Holding): void {
    const entries = this.#entriesOf(holding.stream);
    const before = entries.size;
    entries.set(holding.entryId, holding);
    // To look first whether it is held already takes longer than to add up, once in a lifetime.
    if (entries.size === before) this.#bytes = this.#bytesOfAll();
    else this.#bytes += holding.bytes;
    this.#changed(entries.size - before);
  }

  /** The same entry, for another time; it takes as much. */
  replace(holding: Holding): void {
    const entries = this.#entriesOf(holding.stream);
    if (entries.has(holding.entryId)) entries.set(holding.entryId, holding);
  }

  /** Whether it is held, whatever for. */
  knows(stream: string, entryId: string): boolean {
    return this.#entriesOf(stream).has(entryId);
  }

  /** Whether it is held, for this time. */
  has(holding: Holding): boolean {
    return this.#entriesOf(holding.stream).get(holding.entryId) === holding;
  }

  /** The same of one that is not settled: as long as nothing was lost, nothing has to be looked up. */
  isOurs(holding: Holding): boolean {
    return !this.#hasLost || this.has(holding);
  }

  /** Nothing if it is held for another time by now. */
  remove(holding: Holding): void {
    const entries = this.#entriesOf(holding.stream);
    if (entries.get(holding.entryId) !== holding) return;
    entries.delete(holding.entryId);
    holding.release();
    this.#bytes -= holding.bytes;
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
    return [...this.#byStream.values()].flatMap((entries) => [...entries.values()]);
  }

  /** How many more there may be. */
  room(): number {
    return this.#limits.window - this.#count;
  }

  /** How many bytes more there may be. */
  bytesRoom(): number {
    return this.#limits.windowBytes - this.#bytes;
  }

  #entriesOf(stream: string): Map<string, Holding> {
    if (this.#latest.stream !== stream) {
      const entries = this.#byStream.get(stream) ?? new Map<string, Holding>();
      this.#byStream.set(stream, entries);
      this.#latest = { stream, entries };
    }
    return this.#latest.entries;
  }

  #bytesOfAll(): number {
    let sum = 0;
    for (const entries of this.#byStream.values()) for (const { bytes } of entries.values()) sum += bytes;
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
