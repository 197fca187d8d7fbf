import { longestTimerMs } from "../../operators/after.ts";
import { kindOf } from "../errors/thrown.ts";
import { type Decision, decided } from "./delivery.ts";

/**
 * Gives a delivery back, as though its handler had not been started: it is for whoever looks next, at the latest half of
 * `claimIdleMs` from now, also this consumer. With `orderBy` those behind it go back with it; what comes later does not wait.
 *
 * @example
 * ```ts
 * acknowledge((order: Order) => (cache.has(order.region) ? mail(order) : giveBack()));
 * ```
 */
export function giveBack(): Decision {
  return { [decided]: { kind: "left" } };
}

/**
 * Lets a delivery fail, and come again to this consumer after `ms`, in place of the backoff. It counts against
 * `maxDeliveries`, and those of its `orderBy` wait for it, as with any failure. Throws a TypeError unless `ms` is 0 to 2^31 - 1.
 *
 * @param reason - what is told of it; a dead letter has it as well
 * @example
 * ```ts
 * acknowledge(async (order: Order) => {
 *   const { status, headers } = await post(order);
 *   return status === 429 ? retryIn(1000 * Number(headers.get("retry-after"))) : undefined;
 * });
 * ```
 */
export function retryIn(
  ms: number,
  reason: unknown = `its handler asked for it again in ${ms} ms`,
): Decision {
  if (typeof ms !== "number" || !(ms >= 0 && ms <= longestTimerMs)) {
    const found = typeof ms === "number" ? ms : kindOf(ms);
    throw new TypeError(
      `retryIn: found ${found}, expected a number of milliseconds from 0 to ${longestTimerMs}`,
    );
  }
  return { [decided]: { kind: "failed", reason, delayMs: ms } };
}

/**
 * Sets a delivery aside at once, however seldom it has failed: with `reason`, up to 1,000 characters, in the stream of
 * `deadLetters`. Without such a stream it fails.
 *
 * @example
 * ```ts
 * acknowledge((order: Order) => (order.customer === "" ? deadLetter("it has no customer") : mail(order)));
 * ```
 */
export function deadLetter(reason: unknown): Decision {
  return { [decided]: { kind: "dead", reason } };
}

/** Lets a delivery come again after `delayMs`, or the backoff, however often: what went wrong is not its fault. */
export function postponed(reason: unknown, delayMs?: number): Decision {
  return { [decided]: { kind: "postponed", reason, delayMs } };
}
