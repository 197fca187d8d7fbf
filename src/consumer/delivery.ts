import type { Observable, Observer } from "rxjs";
import type { StreamEntry } from "../reader/streamEntry.ts";
import type { Effect, Outcome } from "../redis/group/settlement.ts";

/** An entry handed to one consumer of a group, until it is settled. */
export interface Delivery<E> extends StreamEntry<E> {
  /**
   * How often its handler was started at most, this time included: one that was read counts as started once, and one
   * whose consumer died as started again if it was about to be. What is not sure does not count against `maxDeliveries`.
   */
  readonly deliveries: number;
  /** What it will be remembered by as processed; undefined: it will not. */
  readonly mark: Mark | undefined;
  readonly settler: Settler<E>;
}

/** What a processed event is remembered by. */
export interface Mark {
  readonly id: string;
  /** How many of a stream's marks the group keeps; the oldest go first. */
  readonly keep: number;
}

/** Why a delivery is not this consumer's any more: another one has it, or nobody. */
export type Loss = Extract<Outcome, "another's" | "gone">;

/** What shall become of a delivery. */
export type Verdict =
  /** It is acknowledged, and `effects` and its mark are written in the same atomic step. */
  | { readonly kind: "handled"; readonly effects: readonly Effect[] }
  /** It comes again, or is a dead letter. */
  | { readonly kind: "failed"; readonly reason: unknown }
  /** It goes, unhandled, to whoever comes next: one behind another that was `kept`. */
  | { readonly kind: "left" };

/** What became of it: it is time to try again, or it is settled as said. */
export type Settled<E> = Outcome | { readonly again: Delivery<E> };

/** Told what became of a delivery. */
export type Told<E> = Pick<Observer<Settled<E>>, "next">;

/** Where deliveries are settled, once each. */
export interface Settler<E> {
  /** Whether a delivery may be handled now, as one may that is new; if not, `start` says when. */
  readonly mayStart: (delivery: Delivery<E>) => boolean;
  /**
   * Asks to handle a delivery; Redis counts only those whose handler was started.
   *
   * @param begin - called once, with `loss` if it must not be handled: it waited for too long
   */
  readonly start: (delivery: Delivery<E>, begin: (loss: Loss | undefined) => void) => void;
  /**
   * Settles a delivery.
   *
   * @param told - told of one that was handled `acknowledged`; `gone` if it was not pending any more, and so nothing was
   *   written; or an error if Redis refused an effect: then it has failed. Of one that failed `again` when it is time to
   *   try again; `acknowledged` if it is a dead letter now, `kept` if it is there for whoever comes next, as this
   *   consumer stops; else why it is lost
   */
  readonly settle: (delivery: Delivery<E>, verdict: Verdict, told: Told<E>) => void;
  /** Which of these marks of a stream are remembered; emits once. */
  readonly processed: (stream: string, ids: readonly string[]) => Observable<readonly boolean[]>;
}

/** The verdict on nearly all. */
export const handled: Verdict = { kind: "handled", effects: [] };

/** Whether it is not this consumer's any more. */
export function isLoss(outcome: Outcome): outcome is Loss {
  return outcome === "another's" || outcome === "gone";
}

/** Whether it comes again. */
export function isAgain<E>(outcome: Settled<E>): outcome is { readonly again: Delivery<E> } {
  return typeof outcome !== "string" && "again" in outcome;
}
