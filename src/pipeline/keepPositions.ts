import { Observable, type OperatorFunction, Subject, takeWhile } from "rxjs";
import { rxaddError } from "../errors/rxaddError.ts";
import { messageOf } from "../errors/thrown.ts";
import type { Transaction } from "../event/changeEvent.ts";
import type { PositionOf } from "../event/eventAccess.ts";
import { idOf, ifItCan, readProperty, transactionOf } from "../event/eventAccess.ts";
import { refuseUnknown } from "../options/decodeOptions.ts";

/** The same in every copy of this package, of which a program may have two; no part of the type, in which each copy has its own. */
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

function hasBrand(event: unknown): boolean {
  return typeof event === "object" && event !== null && brand in event;
}

/** Tells a {@link Skipped}, also one of another copy of this package. To look at an event may run code of its own, as of a Proxy. */
export function isSkipped<P>(event: unknown): event is Skipped<P> {
  return ifItCan(event, hasBrand) ?? false;
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
 * - **Errors** those of `how` and of the source; `ConfigurationInvalid` when `how` answers later, as with
 *   `mergeMap(async …)`: the position of an event has gone on by then. Do such work before, with `concatMap`, and
 *   filter here. `PositionInvalid` when `position` or `transaction` throws.
 * - **Completion** with `how`.
 * - **Teardown** unsubscribes the source and `how`.
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
  access: PositionAccess<T, P> = {},
): OperatorFunction<T, R | Skipped<P>> {
  refuseUnknown("keepPositions", access, { position: true, transaction: true });
  const {
    // The default fits events whose `position` is a P, as ChangeEvent says.
    position = (event) => readProperty(event, "position") as P | undefined,
    transaction = transactionOf,
  } = access;

  function skippedOf(event: T): Skipped<P> {
    try {
      return new Skipped(position(event), transaction(event));
    } catch (error) {
      const name = ifItCan(event, idOf) ?? "without an id";
      const reason = `position or transaction failed: ${messageOf(error)}`;
      throw rxaddError("PositionInvalid", `event ${name}: ${reason}`, error);
    }
  }

  return (source) =>
    new Observable((subscriber) => {
      const events$ = new Subject<T>();
      // An event may make the source emit the next one: each has its turn within the other's.
      let isTurn = false;
      let hasAnswered = false;
      let newestSkipped: T | undefined;

      function handle(event: T): void {
        const wasTurn = isTurn;
        const hadAnswered = hasAnswered;
        isTurn = true;
        hasAnswered = false;
        events$.next(event);
        const isLeftOut = !hasAnswered;
        isTurn = wasTurn;
        hasAnswered = hadAnswered;
        if (!isLeftOut || subscriber.closed) return;
        newestSkipped = event;
        subscriber.next(skippedOf(event));
      }

      subscriber.add(
        events$.pipe(how).subscribe({
          next: (result) => {
            hasAnswered = true;
            if (isTurn) subscriber.next(result);
            else subscriber.error(answeredLate(result, newestSkipped));
          },
          error: (error) => subscriber.error(error),
          complete: () => subscriber.complete(),
        }),
      );
      subscriber.add(
        source.pipe(takeWhile(() => !subscriber.closed)).subscribe({
          next: (event) => {
            try {
              // Of an operator like this one before it.
              if (isSkipped<P>(event)) subscriber.next(event);
              else handle(event);
            } catch (error) {
              subscriber.error(error);
            }
          },
          error: (error) => events$.error(error),
          complete: () => events$.complete(),
        }),
      );
    });
}

/** The result may be anything; then at least the event that was passed over last is known. */
function answeredLate(result: unknown, newestSkipped: unknown): Error {
  const id = ifItCan(result, idOf) ?? ifItCan(newestSkipped, idOf);
  return rxaddError(
    "ConfigurationInvalid",
    `keepPositions: found a result${id === undefined ? "" : ` for event ${id}`} after the event's turn, when its position had gone on; expected operators that answer each event at once, unlike mergeMap(async …) or delay: do such work before keepPositions`,
  );
}
