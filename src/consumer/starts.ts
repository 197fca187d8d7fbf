import { Subscription, timer, type Unsubscribable } from "rxjs";
import type { ConsumerParts } from "./consumerParts.ts";
import { isLoss, type Loss } from "./delivery.ts";
import type { Holding } from "./holding.ts";
import { startsAlone } from "./unsureStarts.ts";

/** A delivery that is about to be handled. */
interface Starting {
  readonly delivery: Holding;
  readonly begin: (loss: Loss | undefined) => void;
}

/** Starts handlers: of a new delivery at once, of one that comes again once Redis has counted it, and perhaps alone. */
export class Starts implements Unsubscribable {
  readonly #parts: ConsumerParts;
  readonly #timers = new Subscription();
  readonly #waiting: Starting[] = [];
  // The one that is being handled and that its consumers may have died of.
  #alone: { readonly delivery: Holding; readonly patience: Subscription } | undefined;

  constructor(parts: ConsumerParts) {
    this.#parts = parts;
  }

  /** Whether it need not wait, as nearly none does. */
  may(delivery: Holding): boolean {
    return (
      delivery.deliveries === 1 &&
      this.#alone === undefined &&
      this.#waiting.length === 0 &&
      this.#parts.held.isOurs(delivery)
    );
  }

  ask(delivery: Holding, begin: (loss: Loss | undefined) => void): void {
    this.#waiting.push({ delivery, begin });
    this.#next();
  }

  /** Its handler has ended. */
  ended({ stream, entryId }: Holding): void {
    if (this.#alone?.delivery.entryId !== entryId || this.#alone.delivery.stream !== stream) return;
    this.#alone.patience.unsubscribe();
    this.#alone = undefined;
    this.#next();
  }

  unsubscribe(): void {
    this.#timers.unsubscribe();
  }

  /** One that starts alone holds up those behind it. */
  #next(): void {
    while (this.#alone === undefined) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const { delivery, begin } = next;
      if (!this.#parts.held.isOurs(delivery)) begin("another's");
      else if (delivery.deliveries === 1) begin(undefined);
      else {
        if (startsAlone(delivery.counted)) this.#leaveAlone(delivery);
        this.#count(next);
      }
    }
  }

  /** Until its handler has ended, and for a while at most: it may hang. */
  #leaveAlone(delivery: Holding): void {
    const patience = timer(this.#parts.tuning.claimIdleMs / 3).subscribe(() => this.ended(delivery));
    this.#timers.add(patience);
    this.#alone = { delivery, patience };
  }

  #count({ delivery, begin }: Starting): void {
    const { stream, entryId, deliveries } = delivery;
    this.#parts.settlements.ask({
      kind: "start",
      stream,
      entryId,
      deliveries,
      keep: 0,
      done: (outcome) => {
        // It may have been lost, and told so, and be back by now: then it comes again.
        const loss = isLoss(outcome) ? outcome : this.#parts.held.isOurs(delivery) ? undefined : "another's";
        if (loss !== undefined) this.#parts.held.lose(delivery, loss);
        begin(loss);
        if (loss !== undefined) this.ended(delivery);
      },
    });
  }
}
