import { BehaviorSubject, defer, type Observable, Subject, startWith } from "rxjs";
import type { Delivery } from "./delivery.ts";

/** What tells a delivery from every other one. */
export type Holding = Pick<Delivery<unknown>, "stream" | "entryId" | "deliveries">;

/** The deliveries that this consumer has and that are not settled. */
export interface Held {
  readonly add: (delivery: Holding) => void;
  readonly get: (stream: string, entryId: string) => Holding | undefined;
  readonly remove: (delivery: Holding) => void;
  readonly all: () => readonly Holding[];
  /** How many more there may be. */
  readonly room: () => number;
  /** Whether there is enough room for reading to pay. */
  readonly hasRoom$: Observable<boolean>;
  /** How many there are, now and whenever that shrinks. */
  readonly count$: Observable<number>;
}

/** Holds up to `window` deliveries; `enough` room is what a read pays for. */
export function heldDeliveries(window: number, enough: number): Held {
  const byStream = new Map<string, Map<string, Holding>>();
  const hasRoom$ = new BehaviorSubject(true);
  const shrunk$ = new Subject<number>();
  let hadRoom = true;
  let count = 0;
  // Most deliveries are of the stream that the one before was of.
  let latest = { stream: "", entries: new Map<string, Holding>() };

  function entriesOf(stream: string): Map<string, Holding> {
    if (latest.stream !== stream) {
      const entries = byStream.get(stream) ?? new Map<string, Holding>();
      byStream.set(stream, entries);
      latest = { stream, entries };
    }
    return latest.entries;
  }

  function counted(change: number): void {
    count += change;
    const hasRoom = window - count >= enough;
    if (hasRoom !== hadRoom) {
      hadRoom = hasRoom;
      hasRoom$.next(hasRoom);
    }
    if (change < 0 && shrunk$.observed) shrunk$.next(count);
  }

  return {
    add: (delivery) => {
      const entries = entriesOf(delivery.stream);
      const before = entries.size;
      entries.set(delivery.entryId, delivery);
      counted(entries.size - before);
    },
    get: (stream, entryId) => entriesOf(stream).get(entryId),
    remove: ({ stream, entryId }) => {
      if (entriesOf(stream).delete(entryId)) counted(-1);
    },
    all: () => [...byStream.values()].flatMap((entries) => [...entries.values()]),
    room: () => window - count,
    hasRoom$,
    count$: defer(() => shrunk$.pipe(startWith(count))),
  };
}
