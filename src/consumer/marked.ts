import type { Observable } from "rxjs";
import type { Word } from "../reader/streamEntry.ts";
import {
  type Delivery,
  isAgain,
  type Loss,
  type Mark,
  type Settled,
  type Settler,
  type Told,
  type Verdict,
} from "./delivery.ts";

/** Told of a delivery that is settled, and whether its event counts as processed now. */
export interface MarkedObserver<E> {
  readonly settled: (marked: Marked<E>, isProcessed: boolean) => void;
}

/** A delivery whose key is known: it is settled with the mark of that. */
export class Marked<E> implements Settler, Mark {
  readonly delivery: Delivery<E>;
  /** What settles it without a mark. */
  readonly settler: Settler;
  readonly id: string;
  readonly keep: number;
  readonly observer: MarkedObserver<E>;

  constructor(
    delivery: Delivery<E>,
    settler: Settler,
    id: string,
    keep: number,
    observer: MarkedObserver<E>,
  ) {
    this.delivery = delivery;
    this.settler = settler;
    this.id = id;
    this.keep = keep;
    this.observer = observer;
  }

  get stream(): string {
    return this.settler.stream;
  }

  get group(): string {
    return this.settler.group;
  }

  get content(): readonly Word[] {
    return this.settler.content;
  }

  get entryId(): string {
    return this.settler.entryId;
  }

  get deliveries(): number {
    return this.settler.deliveries;
  }

  mayStart(): boolean {
    return this.settler.mayStart();
  }

  start(begin: (loss: Loss | undefined) => void): void {
    this.settler.start((loss) => {
      begin(loss);
      if (loss !== undefined) this.observer.settled(this, false);
    });
  }

  settle(verdict: Verdict, told: Told, removes: boolean): void {
    const { kind } = verdict;
    this.settler.settle(
      kind === "handled" ? { kind, effects: verdict.effects, mark: this } : verdict,
      new MarkedTold(this, kind, told),
      removes,
    );
  }

  processed(ids: readonly string[]): Observable<readonly boolean[]> {
    return this.settler.processed(ids);
  }

  horizon(): Observable<string> {
    return this.settler.horizon();
  }
}

/** Told what became of one. */
class MarkedTold<E> {
  readonly #marked: Marked<E>;
  readonly #verdict: Verdict["kind"];
  readonly #told: Told;

  constructor(marked: Marked<E>, verdict: Verdict["kind"], told: Told) {
    this.#marked = marked;
    this.#verdict = verdict;
    this.#told = told;
  }

  next(outcome: Settled): void {
    const marked = this.#marked;
    const { delivery, id, keep, observer } = marked;
    if (isAgain(outcome)) {
      this.#told.next({ again: new Marked(delivery, outcome.again, id, keep, observer) });
      return;
    }
    this.#told.next(outcome);
    const isHandled = this.#verdict === "handled";
    // What was refused is settled anew, as one that failed.
    if (!isHandled || !(outcome instanceof Error))
      observer.settled(marked, isHandled && outcome === "acknowledged");
  }
}
