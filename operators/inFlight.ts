import {
  defer,
  identity,
  type MonoTypeOperatorFunction,
  Observable,
  type ObservableInput,
  type Observer,
  type OperatorFunction,
  Subscription,
  takeWhile,
} from "rxjs";
import { checkNumbers } from "./checkNumber.ts";

/** How {@link inFlight} keeps its window. */
export interface InFlightOptions<R> {
  /** Most items sent and not yet acknowledged, >= 1. Default 4. */
  readonly window?: number;
  /**
   * What follows a failure: resubscribing sends the window again, from the oldest item. Pass
   * `retryBackoff`. Default: the failure ends the result.
   */
  readonly resend?: MonoTypeOperatorFunction<R>;
  /** Told whether the window has room, at subscription and whenever that changes. */
  readonly room?: Pick<Observer<boolean>, "next">;
}

interface Slot<T, R> {
  readonly item: T;
  outcome: { readonly result: R } | { readonly error: unknown } | undefined;
}

/**
 * Sends items with up to `window` of them in flight, and hands the results on in source order.
 * After a failure the window is sent again from its oldest unacknowledged item, in order.
 *
 * ```
 * source       -ab------------|    window 2
 * send(a)       ---#  ---A|        fails, is sent again after the backoff, 3 ms
 * send(b)        --   -B|          is sent again with it
 * result       -----------(AB)|
 * ```
 *
 * - **Delivery** at least once: what was in flight at a failure is sent again, so `send` must be
 *   idempotent. Its last value is the result.
 * - **Errors** a failure counts when everything before it is acknowledged; one that `resend` does
 *   not retry ends the result, and so does what `room` throws. A `window` that is no number from 1 on throws a
 *   `RangeError` at once.
 * - **Memory** items that arrive while the window is full wait without bound; heed `room`.
 * - **Completion** when the source has completed and everything is acknowledged; an error of the
 *   source likewise waits for what is in flight.
 * - **Teardown** forgets what is in flight.
 *
 * @example
 * ```ts
 * batches$.pipe(inFlight(publish, { window: 4, resend: retryBackoff() })).subscribe(log);
 * ```
 */
export function inFlight<T, R>(
  send: (item: T) => ObservableInput<R>,
  { window = 4, resend = identity, room }: InFlightOptions<R> = {},
): OperatorFunction<T, R> {
  checkNumbers("inFlight", { window }, 1);
  return (source) =>
    new Observable((subscriber) => {
      // In source order; the first of them are in flight.
      const unacknowledged: Slot<T, R>[] = [];
      let sourceEnd: { readonly error?: unknown } | undefined;
      let hadRoom: boolean | undefined;
      let arrived = () => {};

      function tellRoom(): void {
        const hasRoom = unacknowledged.length < window;
        if (hasRoom === hadRoom) return;
        hadRoom = hasRoom;
        try {
          room?.next(hasRoom);
        } catch (error) {
          subscriber.error(error);
        }
      }

      /** One go at the window: ends with the first failure, or when all is done. */
      const round$ = new Observable<R>((round) => {
        const sends = new Subscription();
        let sent = 0;
        let isAdvancing = false;

        /** Acknowledges and sends as far as it goes: a loop, as sends may settle at once. */
        function advance(): void {
          if (isAdvancing) return;
          isAdvancing = true;
          while (!round.closed && (acknowledgeOldest() || sendNext())) {}
          isAdvancing = false;
          if (round.closed) return;
          tellRoom();
          if (sourceEnd === undefined || unacknowledged.length > 0) return;
          if ("error" in sourceEnd) subscriber.error(sourceEnd.error);
          else round.complete();
        }

        function acknowledgeOldest(): boolean {
          const outcome = unacknowledged[0]?.outcome;
          if (outcome === undefined) return false;
          if ("error" in outcome) {
            round.error(outcome.error);
          } else {
            unacknowledged.shift();
            sent -= 1;
            round.next(outcome.result);
          }
          return true;
        }

        function sendNext(): boolean {
          const slot = sent < window ? unacknowledged[sent] : undefined;
          if (slot === undefined) return false;
          sent += 1;
          start(slot);
          return true;
        }

        function start(slot: Slot<T, R>): void {
          let last: { readonly result: R } | undefined;
          const sending = new Subscription();
          sends.add(sending);

          function settle(outcome: NonNullable<Slot<T, R>["outcome"]>): void {
            sends.remove(sending);
            slot.outcome = outcome;
            advance();
          }

          sending.add(
            defer(() => send(slot.item)).subscribe({
              next: (result) => {
                last = { result };
              },
              error: (error) => settle({ error }),
              complete: () =>
                settle(last ?? { error: new Error("inFlight: send completed without a value") }),
            }),
          );
        }

        round.add(sends);
        for (const slot of unacknowledged) slot.outcome = undefined;
        arrived = advance;
        advance();
      });

      subscriber.add(round$.pipe(resend).subscribe(subscriber));
      subscriber.add(
        source.pipe(takeWhile(() => !subscriber.closed)).subscribe({
          next: (item) => {
            unacknowledged.push({ item, outcome: undefined });
            arrived();
            tellRoom();
          },
          error: (error) => {
            sourceEnd = { error };
            arrived();
          },
          complete: () => {
            sourceEnd = {};
            arrived();
          },
        }),
      );
    });
}
