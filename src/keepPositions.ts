import { Observable, type OperatorFunction, Subject } from "rxjs";
import type { Transaction } from "./changeEvent.ts";
import { readProperty, transactionOf } from "./eventDefaults.ts";
import type { PositionOf } from "./sinkOptions.ts";

/** Tells a {@link Skipped} also from another copy of this package. */
const brand = Symbol.for("rxadd.Skipped");

/** What is left of an event that nothing came of: where it stood. A sink publishes nothing for it, and moves on. */
export class Skipped<P> {
  readonly position: P | undefined;
  readonly transaction: Transaction | undefined;

  constructor(position: P | undefined, transaction: Transaction | undefined) {
    this.position = position;
    this.transaction = transaction;
  }
}

Object.defineProperty(Skipped.prototype, brand, { value: true });

/** Tells a {@link Skipped} from an event. */
export function isSkipped<P>(event: unknown): event is Skipped<P> {
  return typeof event === "object" && event !== null && brand in event;
}

/** What {@link keepPositions} reads from an event. Each has a default that fits a `ChangeEvent`. */
export interface PositionAccess<T, P> {
  /** Default `event.position`. */
  readonly position?: (event: T) => P | undefined;
  /** Default `event.transaction`. */
  readonly transaction?: (event: T) => Transaction | undefined;
}

/**
 * Filters and transforms, and keeps the positions of events that are filtered out: a sink's checkpoint goes past
 * them, and so does the source. Else a pipeline that lets little through would hold on to its source's log.
 *
 * ```
 * events    -a-b-c-d-|     filter: a and d
 * result    -a-s-s-d-|     s: Skipped
 * ```
 *
 * - **`how`** is plain RxJS that answers each event at once, in its place: `filter`, `map`, `mergeMap` to an array. Of
 *   several that come of one event all but the last need a position of their own.
 * - **Errors** those of `how` and of the source.
 * - **Completion** with `how`.
 *
 * @example
 * ```ts
 * changes$.pipe(
 *   keepPositions(pipe(filter(({ source }) => source.table === "orders"), map(withoutCard))),
 *   redisSink({ id, uri, stream }),
 * );
 * ```
 */
export function keepPositions<T, R, P = PositionOf<T>>(
  how: OperatorFunction<T, R>,
  {
    // The default fits events whose `position` is a P, as ChangeEvent<P> says.
    position = (event) => readProperty(event, "position") as P | undefined,
    transaction = transactionOf,
  }: PositionAccess<T, P> = {},
): OperatorFunction<T, R | Skipped<P>> {
  return (source) =>
    new Observable((subscriber) => {
      const events$ = new Subject<T>();
      let hasAnswered = false;
      subscriber.add(
        events$.pipe(how).subscribe({
          next: (result) => {
            hasAnswered = true;
            subscriber.next(result);
          },
          error: (error) => subscriber.error(error),
          complete: () => subscriber.complete(),
        }),
      );
      subscriber.add(
        source.subscribe({
          next: (event) => {
            hasAnswered = false;
            events$.next(event);
            if (!hasAnswered) subscriber.next(new Skipped(position(event), transaction(event)));
          },
          error: (error) => events$.error(error),
          complete: () => events$.complete(),
        }),
      );
    });
}
