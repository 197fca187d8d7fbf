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
  let count = 0;

  function tellRoom(): void {
    const hasRoom = window - count >= enough;
    if (hasRoom !== hasRoom$.value) hasRoom$.next(hasRoom);
  }

  return {
    add: (delivery) => {
      const { stream, entryId } = delivery;
      const entries = byStream.get(stream) ?? new Map<string, Holding>();
      byStream.set(stream, entries);
      if (!entries.has(entryId)) count += 1;
      entries.set(entryId, delivery);
      tellRoom();
    },
    get: (stream, entryId) => byStream.get(stream)?.get(entryId),
    remove: ({ stream, entryId }) => {
      if (byStream.get(stream)?.delete(entryId) !== true) return;
      count -= 1;
      tellRoom();
      shrunk$.next(count);
    },
    all: () => [...byStream.values()].flatMap((entries) => [...entries.values()]),
    room: () => window - count,
    hasRoom$,
    count$: defer(() => shrunk$.pipe(startWith(count))),
  };
}
