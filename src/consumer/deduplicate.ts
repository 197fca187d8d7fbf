import {
  concatMap,
  type MonoTypeOperatorFunction,
  Observable,
  type Observer,
  Subject,
  type Subscriber,
  type Subscription,
} from "rxjs";
import { batch } from "../../operators/batch.ts";
import type { Uninferred } from "../event/uninferred.ts";
import { guard } from "../telemetry/guard.ts";
import { type Delivery, handled, isAgain, redelivered, type Settler, settledBy } from "./delivery.ts";
import { type DeduplicateTuning, deduplicateTuning } from "./groupOptions.ts";
import { handOut } from "./handedOut.ts";
import { keyOf } from "./keyOf.ts";
import { Lines } from "./lines.ts";
import { Marked } from "./marked.ts";
import { type Checked, checked } from "./processed.ts";

/** What {@link deduplicate} goes by. */
export interface DeduplicateOptions<E> {
  /**
   * What tells an event from every other one of its stream, such as its `id`. Asked once for each delivery; if it
   * throws or gives no text, the delivery fails.
   */
  readonly key: (event: E) => string;
  /** How many processed events the group remembers of each stream, about 100 bytes each. Default 100,000. */
  readonly window?: number;
  /** Takes what is acknowledged without being handled out of the stream, as `acknowledge` does. Default false. */
  readonly remove?: boolean;
  /** Told of each delivery that is acknowledged without being handled. */
  readonly skipped?: Pick<Observer<Delivery<Uninferred<E>>>, "next">;
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
  const { window, remove } = deduplicateTuning(options);
  const tuning = { ...options, window, remove };
  return (source) =>
    new Observable((subscriber) => {
      const deduplication = new Deduplication(tuning, subscriber);
      subscriber.add(deduplication.checks);
      handOut("deduplicate", source, deduplication, subscriber);
    });
}

type Tuning<E> = DeduplicateOptions<E> & Pick<DeduplicateTuning, "window" | "remove">;

/** One subscription. */
class Deduplication<E> {
  readonly checks: Subscription;
  readonly #tuning: Tuning<E>;
  readonly #subscriber: Subscriber<Delivery<E>>;
  readonly #guarded = guard((message) => process.emitWarning(`deduplicate: ${message}`, "RxaddWarning"));
  // By stream: what repeats one that is asked about or handled waits for its outcome.
  readonly #lines = new Map<string, Lines<Marked<E>>>();
  readonly #asked$ = new Subject<Marked<E>>();
  // The source counts as one, until it completes.
  #unsettled = 1;

  constructor(tuning: Tuning<E>, subscriber: Subscriber<Delivery<E>>) {
    this.#tuning = tuning;
    this.#subscriber = subscriber;
    this.checks = this.#asked$.pipe(batch({ maxItems: 500 }), concatMap(checked)).subscribe({
      next: (parts) => this.#take(parts),
      error: (error) => subscriber.error(error),
    });
  }

  add(delivery: Delivery<E>, settler: Settler): void {
    this.#unsettled += 1;
    this.#ask(delivery, settler);
  }

  /** There will be no more. */
  end(): void {
    this.#unsettled -= 1;
    if (this.#unsettled === 0) this.#subscriber.complete();
  }

  /** One that went is settled. */
  settled(marked: Marked<E>, isProcessed: boolean): void {
    this.#release(marked, isProcessed);
    this.end();
  }

  /** Those that repeat it were handled with it; or nobody here knows, and it is asked again. */
  #release({ stream, id }: Marked<E>, isProcessed: boolean): void {
    for (const next of this.#linesOf(stream).end(id)) {
      if (isProcessed) this.#skip(next);
      else this.#join(next);
    }
  }

  /** Asks whether it is processed; its key is known from here on, whatever a handler does to its event. */
  #ask(delivery: Delivery<E>, settler: Settler): void {
    const { key, window, remove } = this.#tuning;
    const { event } = delivery;
    let id: string;
    try {
      id = keyOf("key", key(event));
    } catch (reason) {
      settler.settle(
        { kind: "failed", reason },
        {
          next: (outcome) => {
            if (isAgain(outcome)) this.#ask(redelivered(delivery, event, outcome.again), outcome.again);
            else this.end();
          },
        },
        remove,
      );
      return;
    }
    this.#join(new Marked(delivery, settler, id, window, this));
  }

  /** Asks now, or once the one before it is settled: an answer of before that would say too little. */
  #join(marked: Marked<E>): void {
    if (this.#linesOf(marked.stream).join(marked.id, marked) === "goes") this.#asked$.next(marked);
  }

  #take(parts: readonly Checked<E>[]): void {
    for (const { all, processed } of parts) {
      let index = 0;
      for (const marked of all) {
        if (processed[index] === true) {
          this.#skip(marked);
          this.#release(marked, true);
        } else this.#subscriber.next({ ...marked.delivery, [settledBy]: marked });
        index += 1;
      }
    }
  }

  #skip({ delivery, settler }: Marked<E>): void {
    this.#guarded("skipped", () => this.#tuning.skipped?.next(delivery));
    settler.settle(handled, { next: () => this.end() }, this.#tuning.remove);
  }

  #linesOf(stream: string): Lines<Marked<E>> {
    let lines = this.#lines.get(stream);
    if (lines === undefined) {
      lines = new Lines();
      this.#lines.set(stream, lines);
    }
    return lines;
  }
}
