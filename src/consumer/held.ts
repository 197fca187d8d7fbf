import { BehaviorSubject, defer, type Observable, Subject, startWith } from "rxjs";
import type { Delivery } from "./delivery.ts";

/** What tells a delivery from every other one: an entry that comes back has been read anew. */
export type Holding = Pick<Delivery<unknown>, "stream" | "entryId" | "deliveries" | "content">;

/** A delivery, and how much it takes. */
interface Kept {
  holding: Holding;
  readonly bytes: number;
}

/**
 * Instead of what is let go of. A Map leaves its table behind whenever it makes a new one, and all that stood there
 * outlives the next collections: this cuts it off.
 */
const nothing: Holding = { stream: "", entryId: "", deliveries: 0, content: [] };

/** The deliveries that this consumer has and that are not settled. */
export interface Held {
  readonly add: (delivery: Holding, bytes: number) => void;
  /** The same entry, for another time; it takes as much. */
  readonly replace: (delivery: Holding) => void;
  readonly get: (stream: string, entryId: string) => Holding | undefined;
  /** Whether it is held, for this time. */
  readonly has: (delivery: Holding) => boolean;
  /** Nothing if it is held for another time by now. */
  readonly remove: (delivery: Holding) => void;
  readonly all: () => readonly Holding[];
  /** How many more there may be. */
  readonly room: () => number;
  /** How many bytes more there may be. */
  readonly bytesRoom: () => number;
  /** Whether there is enough room for reading to pay. */
  readonly hasRoom$: Observable<boolean>;
  /** How many there are, now and whenever that shrinks. */
  readonly count$: Observable<number>;
}

function isSame(held: Holding | undefined, { deliveries, content }: Holding): boolean {
  return held?.deliveries === deliveries && held.content === content;
}

interface Limits {
  /** Most deliveries. */
  readonly window: number;
  /** Most bytes; the last read may go beyond them. */
  readonly windowBytes: number;
  /** How much room for deliveries a read pays for. */
  readonly enough: number;
}

/** Holds deliveries up to a window. */
export function heldDeliveries({ window, windowBytes, enough }: Limits): Held {
  const byStream = new Map<string, Map<string, Kept>>();
  const hasRoom$ = new BehaviorSubject(true);
  const shrunk$ = new Subject<number>();
  let hadRoom = true;
  let count = 0;
  let bytes = 0;
  // Most deliveries are of the stream that the one before was of.
  let latest = { stream: "", entries: new Map<string, Kept>() };

  function entriesOf(stream: string): Map<string, Kept> {
    if (latest.stream !== stream) {
      const entries = byStream.get(stream) ?? new Map<string, Kept>();
      byStream.set(stream, entries);
      latest = { stream, entries };
    }
    return latest.entries;
  }

  function bytesOfAll(): number {
    let sum = 0;
    for (const entries of byStream.values()) for (const kept of entries.values()) sum += kept.bytes;
    return sum;
  }

  function counted(change: number): void {
    count += change;
    const hasRoom = window - count >= enough && (bytes <= windowBytes / 2 || count === 0);
    if (hasRoom !== hadRoom) {
      hadRoom = hasRoom;
      hasRoom$.next(hasRoom);
    }
    if (change < 0 && shrunk$.observed) shrunk$.next(count);
  }

  return {
    add: (holding, size) => {
      const entries = entriesOf(holding.stream);
      const before = entries.size;
      entries.set(holding.entryId, { holding, bytes: size });
      // To look first whether it is held already takes longer than to add up, once in a lifetime.
      if (entries.size === before) bytes = bytesOfAll();
      else bytes += size;
      counted(entries.size - before);
    },
    replace: (holding) => {
      const kept = entriesOf(holding.stream).get(holding.entryId);
      if (kept !== undefined) kept.holding = holding;
    },
    get: (stream, entryId) => entriesOf(stream).get(entryId)?.holding,
    has: (holding) => isSame(entriesOf(holding.stream).get(holding.entryId)?.holding, holding),
    remove: (holding) => {
      const entries = entriesOf(holding.stream);
      const kept = entries.get(holding.entryId);
      if (kept === undefined || !isSame(kept.holding, holding)) return;
      entries.delete(holding.entryId);
      kept.holding = nothing;
      bytes -= kept.bytes;
      counted(-1);
    },
    all: () =>
      [...byStream.values()].flatMap((entries) => [...entries.values()].map(({ holding }) => holding)),
    room: () => window - count,
    bytesRoom: () => windowBytes - bytes,
    hasRoom$,
    count$: defer(() => shrunk$.pipe(startWith(count))),
  };
}
