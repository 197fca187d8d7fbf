import type { Observable, Observer } from "rxjs";
import { type RxaddError, rxaddError } from "../errors/rxaddError.ts";
import type { StreamEntry, Word } from "../reader/streamEntry.ts";
import type { Effect, Outcome } from "../redis/group/settlement.ts";

/** Where a delivery has what settles it: known to every copy of the package, and to each copy by spread. */
export const settledBy: unique symbol = Symbol.for("rxadd.settledBy");

/** An entry handed to one consumer of a group, until it is settled. */
export interface Delivery<E> extends StreamEntry<E> {
  /**
   * How often its handler was started at most, this time included: one that was read counts as started once, and one
   * whose consumer died as started again if it was about to be. What is not sure does not count against `maxDeliveries`;
   * what `inTransaction` tries again for no fault of the delivery is not counted at all.
   */
  readonly deliveries: number;
  /** The consumer's own. A copy has to have it as well, as one by spread does: `{ ...delivery, event }`. */
  readonly [settledBy]: Settler;
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
  /** It is acknowledged; `effects`, and the mark that it is remembered by, are written in the same atomic step. */
  | { readonly kind: "handled"; readonly effects: readonly Effect[]; readonly mark: Mark | undefined }
  /** It comes again, after `delayMs` or the backoff, or is a dead letter. */
  | { readonly kind: "failed"; readonly reason: unknown; readonly delayMs?: number }
  /** It comes again as well, and is none: what went wrong says nothing of it. */
  | { readonly kind: "postponed"; readonly reason: unknown; readonly delayMs: number | undefined }
  /** It is a dead letter at once. */
  | { readonly kind: "dead"; readonly reason: unknown }
  /** It goes to whoever comes next, as if its handler had not been started; that of one behind another that was `kept` was not. */
  | { readonly kind: "left" };

/** What a delivery fails with, for this time or for good. */
export type Failure = Extract<Verdict, { readonly reason: unknown }>;

/** Where a handler's output says what shall become of its delivery: known to every copy of the package. */
export const decided: unique symbol = Symbol.for("rxadd.decided");

/** What shall become of a delivery: see `giveBack`, `retryIn` and `deadLetter`. */
export interface Decision {
  readonly [decided]: Verdict;
}

/** What became of it: it is time to try again, or it is settled as said. */
export type Settled = Outcome | { readonly again: Settler };

/** Told what became of a delivery. */
export type Told = Pick<Observer<Settled>, "next">;

/**
 * Settles one delivery, once. It goes by what was read: whoever changes or copies the delivery changes nothing of it.
 */
export interface Settler {
  readonly stream: string;
  readonly group: string;
  readonly entryId: string;
  /** Names and values, as long as it is not settled. */
  readonly content: readonly Word[];
  /** How often it was delivered, this time included. */
  readonly deliveries: number;
  /** Whether it may be handled now, as one may that is new; if not, `start` says when. */
  readonly mayStart: () => boolean;
  /**
   * Asks to handle it; Redis counts only those whose handler was started.
   *
   * @param begin - called once, with `loss` if it must not be handled: it waited for too long
   */
  readonly start: (begin: (loss: Loss | undefined) => void) => void;
  /**
   * Settles it.
   *
   * @param told - told of one that was handled `acknowledged`; `gone` if it was not pending any more, and so nothing was
   *   written; or an error if Redis refused an effect: then it has failed. Of one that failed `again` when it is time to
   *   try again; `acknowledged` if it is a dead letter now, `kept` if it is there for whoever comes next, as this
   *   consumer stops; else why it is lost
   * @param removes - whether what is settled for good leaves the stream, once every group has it
   */
  readonly settle: (verdict: Verdict, told: Told, removes: boolean) => void;
  /** Which of these marks of its stream are remembered; emits once. */
  readonly processed: (ids: readonly string[]) => Observable<readonly boolean[]>;
  /**
   * The entry ID below which its group hands nothing out of its stream any more, not even where the group is made anew:
   * what was there is neither in the stream nor pending. Emits once, or nothing where that is not known.
   */
  readonly horizon: () => Observable<string>;
}

/** The verdict on nearly all. */
export const handled: Extract<Verdict, { readonly kind: "handled" }> = {
  kind: "handled",
  effects: [],
  mark: undefined,
};

/** What settles a delivery; undefined of what no consumer has handed out. */
export function settlerOf(delivery: Partial<Delivery<unknown>> | null | undefined): Settler | undefined {
  return delivery?.[settledBy];
}

/** @param who - the operator that cannot settle it */
export function notHandedOut(who: string): RxaddError {
  return rxaddError(
    "ConfigurationInvalid",
    `${who}: found what no consumer has handed out, or a copy that has lost what settles it, expected a delivery: copy it by spread, { ...delivery, event }`,
  );
}

/** It comes another time, with the event that it had: its handler may have changed the delivery. */
export function redelivered<E>(delivery: Delivery<E>, event: E, settler: Settler): Delivery<E> {
  const { stream, entryId, deliveries } = settler;
  return { ...delivery, stream, entryId, event, deliveries, [settledBy]: settler };
}

/** Whether it is not this consumer's any more. */
export function isLoss(outcome: Outcome): outcome is Loss {
  return outcome === "another's" || outcome === "gone";
}

/** Whether it comes again. */
export function isAgain(outcome: Settled): outcome is { readonly again: Settler } {
  return typeof outcome !== "string" && "again" in outcome;
}
