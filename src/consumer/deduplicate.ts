import { concatMap, type MonoTypeOperatorFunction, Observable, type Observer, Subject } from "rxjs";
import { batch } from "../../operators/batch.ts";
import { guard } from "../telemetry/guard.ts";
import { type Delivery, handled, isAgain, type Settler } from "./delivery.ts";
import { deduplicateTuning } from "./groupOptions.ts";
import { keyOf } from "./keyOf.ts";
import { Lines } from "./lines.ts";
import { type Checked, checked, type Marked } from "./processed.ts";

/** What {@link deduplicate} goes by. */
export interface DeduplicateOptions<E> {
  /**
   * What tells an event from every other one of its stream, such as its `id`. Asked once for each delivery; if it
   * throws or gives no text, the delivery fails.
   */
  readonly key: (event: E) => string;
  /** How many processed events the group remembers of each stream, about 100 bytes each. Default 100,000. */
  readonly window?: number;
  /** Told of each delivery that is acknowledged without being handled. */
  readonly skipped?: Pick<Observer<Delivery<NoInfer<E>>>, "next">;
}

/**
 * Lets each event through once, whichever consumer of the group processed it before, and acknowledges the others.
 *
 * ```
 * deliveries   -abac---|
 * result       -ab-c---|      the second a is acknowledged as soon as the first one is
 * ```
 *
 * An event counts as processed from the step that acknowledges it on, so a crash can neither lose nor double it.
 * The keys are kept in Redis, in the sorted set `{<stream>}:rxadd:<group>:processed`. Two consumers that are handed
 * entries with the same key at the same time both run their handlers; the effects of one of them are written.
 *
 * - **Order** an event with the key of one that is being handled waits for that one's outcome; the
 *   others keep the source's order.
 * - **Memory** what waits is part of the source's `window`; in Redis `window` keys.
 * - **Misuse** throws `ConfigurationInvalid` at once, with all that is wrong with the options.
 * - **Errors** of `key` reject the delivery; those of the source pass through.
 * - **Completion** when the source has completed and nothing waits.
 *
 * @example
 * ```ts
 * groupDeliveries<Order>({ uri, stream: "orders.events", group: "mailer" })
 *   .pipe(deduplicate({ key: ({ id }) => id }), acknowledge(sendMail))
 *   .subscribe();
 * ```
 */
export function deduplicate<E>(options: DeduplicateOptions<E>): MonoTypeOperatorFunction<Delivery<E>> {
  const { window } = deduplicateTuning(options);
  const { key, skipped } = options;
  return (source) =>
    new Observable((subscriber) => {
      // By stream and key: what repeats one that is being handled waits for its outcome.
      const lines = new Lines<Marked<E>>();
      const watched = watching(release);
      const asked$ = new Subject<Marked<E>>();
      const guarded = guard((message) => process.emitWarning(`deduplicate: ${message}`, "RxaddWarning"));
      // The source counts as one, until it completes.
      let unsettled = 1;

      function settled(): void {
        unsettled -= 1;
        if (unsettled === 0) subscriber.complete();
      }

      /** Asks whether it is processed; its key is known from here on, whatever a handler does to its event. */
      function ask(delivery: Delivery<E>): void {
        let id: string;
        try {
          id = keyOf("key", key(delivery.event));
        } catch (reason) {
          delivery.settler.settle(
            delivery,
            { kind: "failed", reason },
            {
              next: (outcome) => {
                if (isAgain(outcome)) ask(outcome.again);
                else settled();
              },
            },
          );
          return;
        }
        asked$.next({ ...delivery, mark: { id, keep: window } });
      }

      function skip(delivery: Delivery<E>): void {
        guarded("skipped", () => skipped?.next(delivery));
        delivery.settler.settle({ ...delivery, mark: undefined }, handled, { next: settled });
      }

      function take(deliveries: readonly Checked<E>[]): void {
        const first: Marked<E>[] = [];
        for (const { delivery, isProcessed } of deliveries) {
          if (isProcessed) skip(delivery);
          else if (lines.join(nameOf(delivery), delivery) === "goes") first.push(delivery);
        }
        // Only now, as one may be settled at once: those that repeat it have to be waiting for it.
        for (const delivery of first) subscriber.next({ ...delivery, settler: watched(delivery.settler) });
      }

      /** Those that repeat it were handled with it; or nobody here knows, and it is asked again. */
      function release(delivery: Delivery<E>, isProcessed: boolean): void {
        for (const next of lines.end(nameOf(delivery))) {
          if (isProcessed) skip(next);
          else asked$.next(next);
        }
        settled();
      }

      subscriber.add(
        asked$.pipe(batch({ maxItems: 500 }), concatMap(checked)).subscribe({
          next: take,
          error: (error) => subscriber.error(error),
        }),
      );
      subscriber.add(
        source.subscribe({
          next: (delivery) => {
            unsettled += 1;
            ask(delivery);
          },
          error: (error) => subscriber.error(error),
          complete: settled,
        }),
      );
    });
}

/** Makes settlers that also tell when a delivery is settled: the same one for all deliveries of one. */
function watching<E>(settled: (delivery: Delivery<E>, isProcessed: boolean) => void) {
  const known = new Map<Settler<E>, Settler<E>>();
  return (settler: Settler<E>): Settler<E> => {
    const watched = known.get(settler) ?? telling(settler, settled);
    known.set(settler, watched);
    return watched;
  };
}

/** A settler that also tells when a delivery is settled, and whether its event counts as processed now. */
function telling<E>(
  settler: Settler<E>,
  settled: (delivery: Delivery<E>, isProcessed: boolean) => void,
): Settler<E> {
  return {
    ...settler,
    start: (delivery, begin) =>
      settler.start(delivery, (loss) => {
        begin(loss);
        if (loss !== undefined) settled(delivery, false);
      }),
    settle: (delivery, verdict, told) =>
      settler.settle(delivery, verdict, {
        next: (outcome) => {
          told.next(outcome);
          const isHandled = verdict.kind === "handled";
          // What was refused is settled anew, as one that failed.
          if (isAgain(outcome) || (isHandled && outcome instanceof Error)) return;
          settled(delivery, isHandled && outcome === "acknowledged");
        },
      }),
  };
}

function nameOf<E>({ stream, mark }: Delivery<E>): string {
  return `${stream}\n${mark?.id}`;
}
