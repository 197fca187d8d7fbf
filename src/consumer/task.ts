import type { Outcome } from "../redis/group/settlement.ts";
import { type Delivery, isAgain, redelivered, type Settled, type Settler, type Verdict } from "./delivery.ts";

/** Who handles it, and is told what becomes of it. */
export interface TaskOwner<T> {
  /** Whether what is settled leaves the stream, once every group has it. */
  readonly removes: boolean;
  /** It comes again. */
  readonly again: (task: T) => void;
  /** That was all of it. */
  readonly settled: (task: T, outcome: Outcome) => void;
}

/** A delivery on its way through, which is told what becomes of it: one object, as there is one for each. */
export class Task<E, R> {
  /** As it came, or as it came again after a failure. */
  delivery: Delivery<E>;
  // These are known from when it was taken on: its handler may change the delivery and the event.
  readonly event: E;
  settler: Settler;
  /** Undefined: it stands in no line. */
  key: string | undefined = undefined;
  result: R | undefined = undefined;
  verdict: Verdict["kind"] | undefined = undefined;
  readonly #owner: TaskOwner<Task<E, R>>;

  constructor(delivery: Delivery<E>, settler: Settler, owner: TaskOwner<Task<E, R>>) {
    this.delivery = delivery;
    this.event = delivery.event;
    this.settler = settler;
    this.#owner = owner;
  }

  settle(verdict: Verdict): void {
    this.verdict = verdict.kind;
    this.settler.settle(verdict, this, this.#owner.removes);
  }

  next(outcome: Settled): void {
    if (isAgain(outcome)) {
      this.settler = outcome.again;
      this.delivery = redelivered(this.delivery, this.event, outcome.again);
      this.#owner.again(this);
    } else if (this.verdict === "handled" && outcome instanceof Error) {
      this.settle({ kind: "failed", reason: outcome });
    } else this.#owner.settled(this, outcome);
  }
}
