import { concatMap, type MonoTypeOperatorFunction, Observable, type Observer, Subject } from "rxjs";
import { batch } from "../../operators/batch.ts";
import { guard } from "../telemetry/guard.ts";
import {
  type Delivery,
  handled,
  isAgain,
  type Loss,
  type Mark,
  notHandedOut,
  redelivered,
  type Settler,
  settledBy,
  settlerOf,
  type Told,
  type Verdict,
} from "./delivery.ts";
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
      const asked$ = new Subject<Marked<E>>();
      const guarded = guard((message) => process.emitWarning(`deduplicate: ${message}`, "RxaddWarning"));
      // The source counts as one, until it completes.
      let unsettled = 1;

      function settled(): void {
        unsettled -= 1;
        if (unsettled === 0) subscriber.complete();
      }

      /** Asks whether it is processed; its key is known from here on, whatever a handler does to its event. */
      function ask(delivery: Delivery<E>, settler: Settler): void {
        const { event } = delivery;
        let id: string;
        try {
          id = keyOf("key", key(event));
        } catch (reason) {
          settler.settle(
            { kind: "failed", reason },
            {
              next: (outcome) => {
                if (isAgain(outcome)) ask(redelivered(delivery, event, outcome.again), outcome.again);
                else settled();
              },
            },
          );
          return;
        }
        asked$.next({ delivery, settler, mark: { id, keep: window } });
      }

      function skip({ delivery, settler }: Marked<E>): void {
        guarded("skipped", () => skipped?.next(delivery));
        settler.settle(handled, { next: settled });
      }

      function take(all: readonly Checked<E>[]): void {
        const first: Marked<E>[] = [];
        for (const { marked, isProcessed } of all) {
          if (isProcessed) skip(marked);
          else if (lines.join(nameOf(marked), marked) === "goes") first.push(marked);
        }
        // Only now, as one may be settled at once: those that repeat it have to be waiting for it.
        for (const marked of first) {
          const { delivery, settler, mark } = marked;
          const name = nameOf(marked);
          const told = (isProcessed: boolean) => release(name, isProcessed);
          subscriber.next({ ...delivery, [settledBy]: new MarkingSettler(settler, mark, told) });
        }
      }

      /** Those that repeat it were handled with it; or nobody here knows, and it is asked again. */
      function release(name: string, isProcessed: boolean): void {
        for (const next of lines.end(name)) {
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
            const settler = settlerOf(delivery);
            if (settler === undefined) {
              subscriber.error(notHandedOut("deduplicate"));
              return;
            }
            unsettled += 1;
            ask(delivery, settler);
          },
          error: (error) => subscriber.error(error),
          complete: settled,
        }),
      );
    });
}

/** Settles a delivery with its mark, and tells when it is settled, and whether its event counts as processed now. */
class MarkingSettler implements Settler {
  readonly #settler: Settler;
  readonly #mark: Mark;
  readonly #settled: (isProcessed: boolean) => void;

  constructor(settler: Settler, mark: Mark, settled: (isProcessed: boolean) => void) {
    this.#settler = settler;
    this.#mark = mark;
    this.#settled = settled;
  }

  get stream(): string {
    return this.#settler.stream;
  }

  get entryId(): string {
    return this.#settler.entryId;
  }

  get deliveries(): number {
    return this.#settler.deliveries;
  }

  mayStart(): boolean {
    return this.#settler.mayStart();
  }

  start(begin: (loss: Loss | undefined) => void): void {
    this.#settler.start((loss) => {
      begin(loss);
      if (loss !== undefined) this.#settled(false);
    });
  }

  settle(verdict: Verdict, told: Told): void {
    const isHandled = verdict.kind === "handled";
    this.#settler.settle(isHandled ? { ...verdict, mark: this.#mark } : verdict, {
      next: (outcome) => {
        if (isAgain(outcome)) {
          told.next({ again: new MarkingSettler(outcome.again, this.#mark, this.#settled) });
          return;
        }
        told.next(outcome);
        // What was refused is settled anew, as one that failed.
        if (!isHandled || !(outcome instanceof Error)) this.#settled(isHandled && outcome === "acknowledged");
      },
    });
  }

  processed(ids: readonly string[]): Observable<readonly boolean[]> {
    return this.#settler.processed(ids);
  }
}

function nameOf<E>({ settler, mark }: Marked<E>): string {
  return `${settler.stream}\n${mark.id}`;
}
