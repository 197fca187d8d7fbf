import {
  concatMap,
  forkJoin,
  type MonoTypeOperatorFunction,
  map,
  Observable,
  type Observer,
  of,
  Subject,
} from "rxjs";
import { batch } from "../../operators/batch.ts";
import { guard } from "../telemetry/guard.ts";
import type { Delivery, Mark, Settler } from "./delivery.ts";
import { deduplicateTuning } from "./groupOptions.ts";
import { keyOf } from "./keyOf.ts";

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

type Marked<E> = Delivery<E> & { readonly mark: Mark };

interface Checked<E> {
  readonly delivery: Marked<E>;
  readonly isProcessed: boolean;
}

/** Asks which of them are processed already, once for each stream. */
function checked<E>(deliveries: readonly Marked<E>[]): Observable<readonly Checked<E>[]> {
  const streams = new Set(deliveries.map(({ stream }) => stream));
  const parts = [...streams].map((name) => {
    const own = deliveries.filter(({ stream }) => stream === name);
    const answer = own[0]?.settler.processed(
      name,
      own.map(({ mark }) => mark.id),
    );
    return (answer ?? of([])).pipe(
      map((processed) =>
        own.map((delivery, index) => ({ delivery, isProcessed: processed[index] === true })),
      ),
    );
  });
  return forkJoin(parts).pipe(map((all) => all.flat()));
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
      // By stream and key: what waits for the outcome of the one that is being handled.
      const handled = new Map<string, Marked<E>[]>();
      const watched = new Map<Settler<E>, Settler<E>>();
      const asked$ = new Subject<Marked<E>>();
      const guarded = guard((message) => process.emitWarning(`deduplicate: ${message}`, "RxaddWarning"));
      let unsettled = 0;
      let sourceDone = false;

      const nameOf = ({ stream, mark }: Delivery<E>) => `${stream}\n${mark?.id}`;

      function completeIfDone(): void {
        if (sourceDone && unsettled === 0) subscriber.complete();
      }

      function settled(): void {
        unsettled -= 1;
        completeIfDone();
      }

      /** Asks whether it is processed; its key is known from here on, whatever a handler does to its event. */
      function ask(delivery: Delivery<E>): void {
        let id: string;
        try {
          id = keyOf("key", key(delivery.event));
        } catch (reason) {
          delivery.settler.reject(delivery, reason, (outcome) => {
            if (typeof outcome === "string" || outcome instanceof Error) settled();
            else ask(outcome.again);
          });
          return;
        }
        asked$.next({ ...delivery, mark: { id, keep: window } });
      }

      function skip(delivery: Delivery<E>): void {
        guarded("skipped", () => skipped?.next(delivery));
        delivery.settler.acknowledge({ ...delivery, mark: undefined }, [], settled);
      }

      /** Whether nothing with its key is being handled; else it waits for that. */
      function isFirst(delivery: Marked<E>): boolean {
        const waiting = handled.get(nameOf(delivery));
        if (waiting === undefined) handled.set(nameOf(delivery), []);
        else waiting.push(delivery);
        return waiting === undefined;
      }

      function take(deliveries: readonly Checked<E>[]): void {
        const first: Marked<E>[] = [];
        for (const { delivery, isProcessed } of deliveries) {
          if (isProcessed) skip(delivery);
          else if (isFirst(delivery)) first.push(delivery);
        }
        // Only now, as one may be settled at once: those that repeat it have to be waiting for it.
        for (const delivery of first) subscriber.next({ ...delivery, settler: watch(delivery.settler) });
      }

      /** Those with its key that wait repeat it; or nobody here knows, and it is asked again. */
      function release(delivery: Delivery<E>, isProcessed: boolean): void {
        const waiting = handled.get(nameOf(delivery)) ?? [];
        handled.delete(nameOf(delivery));
        for (const next of waiting) {
          if (isProcessed) skip(next);
          else asked$.next(next);
        }
        settled();
      }

      /** The same settler, watched for what becomes of a delivery. */
      function watch(settler: Settler<E>): Settler<E> {
        const known = watched.get(settler);
        if (known !== undefined) return known;
        const watching: Settler<E> = {
          ...settler,
          start: (delivery, begin) =>
            settler.start(delivery, (started, loss) => {
              begin(started, loss);
              if (loss !== undefined) release(started, false);
            }),
          acknowledge: (delivery, effects, done) =>
            settler.acknowledge(delivery, effects, (outcome) => {
              done(outcome);
              if (!(outcome instanceof Error)) release(delivery, outcome === "acknowledged");
            }),
          reject: (delivery, reason, done) =>
            settler.reject(delivery, reason, (outcome) => {
              done(outcome);
              if (typeof outcome === "string" || outcome instanceof Error) release(delivery, false);
            }),
          giveBack: (delivery, done) =>
            settler.giveBack(delivery, (outcome) => {
              done(outcome);
              release(delivery, false);
            }),
        };
        watched.set(settler, watching);
        return watching;
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
          complete: () => {
            sourceDone = true;
            completeIfDone();
          },
        }),
      );
    });
}
