import { defer, type Observable } from "rxjs";
import { type RxaddError, rxaddError } from "../errors/rxaddError.ts";
import { refuseKeyPrefix } from "../redis/wire/keyPrefix.ts";
import { consume } from "./consume.ts";
import type { Delivery } from "./delivery.ts";
import { type GroupOptions, groupTuning } from "./groupOptions.ts";

/**
 * Reads streams as one consumer of a group: what it had before, then new entries, and those that dead
 * consumers leave behind.
 *
 * ```
 * stream       -abcd-----e--
 * deliveries   -abc----d-e--      window 3: d comes when one of the others is settled
 * ```
 *
 * - **Delivery** at least once: each stays pending in Redis until `acknowledge` has settled it. A delivery of which its
 *   consumer gives no sign for `claimIdleMs` is claimed by another one; one that is being handled gives signs by itself.
 * - **Memory** up to `window` deliveries over all streams, and about `windowBytes`; it reads when half of them are settled.
 * - **Retries** a lost connection is made again, for ever; what Redis delivered meanwhile is found again.
 * - **Misuse** throws `ConfigurationInvalid` at once, with all that is wrong with the options.
 * - **Errors** an {@link RxaddError} that says what to do; `EntryNotDecodable` without `deadLetters`, after
 *   what was read before it is settled.
 * - **Completion** never by itself; once `until` emits it reads no more, waits until everything is settled, leaves the
 *   group unless something is pending for it, closes the connections and completes; at once if it holds nothing.
 * - **Teardown** closes the connections at once; what is not settled stays pending.
 *
 * @example
 * ```ts
 * groupDeliveries<Order>({ uri: "redis://localhost", stream: "orders.events", group: "mailer" })
 *   .pipe(acknowledge((order) => sendMail(order), { concurrency: 10 }))
 *   .subscribe();
 * ```
 */
export function groupDeliveries<E = unknown>(options: GroupOptions<E>): Observable<Delivery<E>> {
  const tuning = groupTuning(options);
  refuseKeyPrefix("groupDeliveries", options);
  if (options.maxDeliveries !== undefined && tuning.deadLetters === undefined) {
    throw rxaddError(
      "ConfigurationInvalid",
      `groupDeliveries: maxDeliveries: found ${options.maxDeliveries}, expected deadLetters as well: where should they go after that?`,
    );
  }
  if (tuning.window < tuning.stream.length) {
    throw rxaddError(
      "ConfigurationInvalid",
      `groupDeliveries: window: found ${tuning.window}, expected at least one for each of the ${tuning.stream.length} streams`,
    );
  }
  return defer(() => consume(options, tuning));
}
