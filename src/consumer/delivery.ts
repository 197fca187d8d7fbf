import type { Observable } from "rxjs";
import type { Effect } from "../redis/settlement.ts";

/** An entry of a stream. */
export interface StreamEntry<E> {
  readonly stream: string;
  readonly entryId: string;
  /** As they stand in the stream. */
  readonly fields: Readonly<Record<string, string>>;
  /** What the fields were decoded to. */
  readonly event: E;
}

/** An entry handed to one consumer of a group, until it is settled. */
export interface Delivery<E> extends StreamEntry<E> {
  /** How often it was handed to a consumer, this time included. */
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

/** Where deliveries are settled: acknowledged or rejected, once. */
export interface Settler<E> {
  /** Whether the delivery still is this consumer's; one that waited for too long may be another one's. */
  readonly holds: (delivery: Delivery<E>) => boolean;
  /**
   * Acknowledges a delivery, and writes `effects` and its mark in the same atomic step.
   *
   * @param done - called when Redis has it; with an error if it refused an effect
   */
  readonly acknowledge: (
    delivery: Delivery<E>,
    effects: readonly Effect[],
    done: (refusal?: Error) => void,
  ) => void;
  /**
   * Gives a delivery back that failed.
   *
   * @param done - called with the delivery when it is time to try again; without one if it is a dead
   *   letter now, or another consumer's
   */
  readonly reject: (delivery: Delivery<E>, reason: unknown, done: (again?: Delivery<E>) => void) => void;
  /** Which of these marks of a stream are remembered; emits once. */
  readonly processed: (stream: string, ids: readonly string[]) => Observable<readonly boolean[]>;
}
