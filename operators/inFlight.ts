import {
  defer,
  identity,
  type MonoTypeOperatorFunction,
  Observable,
  type ObservableInput,
  type Observer,
  type OperatorFunction,
  type Subscriber,
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
      const slots: Slot<T, R>[] = [];
      let round: Round<T, R> | undefined;
      let sourceEnd: { readonly error?: unknown } | undefined;
      let hadRoom: boolean | undefined;

      function tellRoom(): void {
        const hasRoom = slots.length < window;
        if (hasRoom === hadRoom) return;
        hadRoom = hasRoom;
        try {
          room?.next(hasRoom);
        } catch (error) {
          subscriber.error(error);
        }
      }

      /** One go at the window: ends with the first failure, or when all is done. */
      const round$ = new Observable<R>((results) => {
        for (const slot of slots) slot.outcome = undefined;
        round = new Round({ slots, send, window }, results, () => {
          tellRoom();
          if (sourceEnd === undefined || slots.length > 0) return;
          if ("error" in sourceEnd) subscriber.error(sourceEnd.error);
          else results.complete();
        });
        round.advance();
      });

      subscriber.add(round$.pipe(resend).subscribe(subscriber));
      subscriber.add(
        source.pipe(takeWhile(() => !subscriber.closed)).subscribe({
          next: (item) => {
            slots.push({ item, outcome: undefined });
            round?.advance();
            tellRoom();
          },
          error: (error) => {
            sourceEnd = { error };
            round?.advance();
          },
          complete: () => {
            sourceEnd = {};
            round?.advance();
          },
        }),
      );
    });
}

type Outcome<R> = { readonly result: R } | { readonly error: unknown };

interface Slot<T, R> {
  readonly item: T;
  outcome: Outcome<R> | undefined;
}

interface Sending<T, R> {
  readonly slots: Slot<T, R>[];
  readonly send: (item: T) => ObservableInput<R>;
  readonly window: number;
}

/** Sends what stands in the slots, and takes out what is acknowledged, in order, until the first failure. */
class Round<T, R> {
  readonly #sending: Sending<T, R>;
  readonly #results: Subscriber<R>;
  readonly #rested: () => void;
  readonly #inFlight = new Subscription();
  #sent = 0;
  #isAdvancing = false;

  /** @param rested - told when it has gone as far as it goes */
  constructor(sending: Sending<T, R>, results: Subscriber<R>, rested: () => void) {
    this.#sending = sending;
    this.#results = results;
    this.#rested = rested;
    results.add(this.#inFlight);
  }

  /** Acknowledges and sends as far as it goes: a loop, as sends may settle at once. */
  advance(): void {
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    while (!this.#results.closed && (this.#acknowledgeOldest() || this.#sendNext())) {}
    this.#isAdvancing = false;
    if (!this.#results.closed) this.#rested();
  }

  #acknowledgeOldest(): boolean {
    const { slots } = this.#sending;
    const outcome = slots[0]?.outcome;
    if (outcome === undefined) return false;
    if ("error" in outcome) {
      this.#results.error(outcome.error);
    } else {
      slots.shift();
      this.#sent -= 1;
      this.#results.next(outcome.result);
    }
    return true;
  }

  #sendNext(): boolean {
    const { slots, send, window } = this.#sending;
    const slot = this.#sent < window ? slots[this.#sent] : undefined;
    if (slot === undefined) return false;
    this.#sent += 1;
    const sending = new Subscription();
    this.#inFlight.add(sending);
    const settle = (outcome: Outcome<R>) => {
      this.#inFlight.remove(sending);
      slot.outcome = outcome;
      this.advance();
    };
    let last: Outcome<R> | undefined;
    sending.add(
      defer(() => send(slot.item)).subscribe({
        next: (result) => {
          last = { result };
        },
        error: (error) => settle({ error }),
        complete: () => settle(last ?? { error: new Error("inFlight: send completed without a value") }),
      }),
    );
    return true;
  }
}
