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
 * - **Order** items are numbered 0, 1, 2, … without holes by `ordinalOf`; an item that is acknowledged again counts once.
 * - **Memory** holds acknowledged items that wait for an earlier one.
 * - **Errors and completion** pass through; what a callback throws, or an ordinal that is none, ends the result.
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
          } else if (Number.isInteger(ordinal) && ordinal >= 0) {
            if (ordinal > next) early.set(ordinal, item);
          } else {
            throw new RangeError(
              `checkpoint: ordinalOf: found ${String(ordinal)}, expected 0, 1, 2 and so on`,
            );
          }
        }
        while (early.has(next)) {
          last = early.get(next);
          early.delete(next);
          next += 1;
        }
        // There is a last one: else nothing would have been counted.
        return next === from ? undefined : { last: last as T, items: next - from, acknowledgement };
      }

      return acknowledged$.pipe(
        map(progressOf),
        filter((progress) => progress !== undefined),
      );
    });
}
