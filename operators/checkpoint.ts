import { defer, filter, map, type OperatorFunction } from "rxjs";

/** How far everything is done. */
export interface Progress<T, A> {
  /** The last item up to which every item is acknowledged. */
  readonly last: T;
  /** How many items became safe since the progress before. */
  readonly items: number;
  /** The acknowledgement that completed it. */
  readonly acknowledgement: A;
}

/**
 * Turns acknowledgements, which may come in any order, into progress that never goes back and never
 * skips an item.
 *
 * ```
 * acknowledged   -A----C----B--|    A: items 0, 1   B: items 2, 3   C: items 4, 5
 * checkpoint     -x---------y--|    x: last 1       y: last 5
 * ```
 *
 * - **Order** items are numbered 0, 1, 2, … without holes by `ordinalOf`; each is acknowledged once.
 * - **Memory** holds acknowledged items that wait for an earlier one.
 * - **Errors and completion** pass through.
 *
 * @param itemsOf - the items of an acknowledgement, in ascending order
 * @param ordinalOf - an item's number
 *
 * @example
 * ```ts
 * acks$.pipe(checkpoint((ack) => ack.events, (event) => event.number)).subscribe(({ last }) => save(last));
 * ```
 */
export function checkpoint<A, T>(
  itemsOf: (acknowledgement: A) => readonly T[],
  ordinalOf: (item: T) => number,
): OperatorFunction<A, Progress<T, A>> {
  return (acknowledged$) =>
    defer(() => {
      const early = new Map<number, T>();
      let next = 0;

      function progressOf(acknowledgement: A): Progress<T, A> | undefined {
        const from = next;
        let last: T | undefined;
        for (const item of itemsOf(acknowledgement)) {
          const ordinal = ordinalOf(item);
          if (ordinal === next) {
            last = item;
            next += 1;
          } else {
            early.set(ordinal, item);
          }
        }
        for (let item = early.get(next); item !== undefined; item = early.get(next)) {
          early.delete(next);
          last = item;
          next += 1;
        }
        return last === undefined ? undefined : { last, items: next - from, acknowledgement };
      }

      return acknowledged$.pipe(
        map(progressOf),
        filter((progress) => progress !== undefined),
      );
    });
}
