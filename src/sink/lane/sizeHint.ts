import { isRxaddError, rxaddError } from "../../errors/rxaddError.ts";
import type { Batch } from "../encode/entry.ts";

/** The least that `client-query-buffer-limit` can be set to. */
const suspiciousBytes = 1_048_576;

/**
 * Adds the batch's largest event to an error that its size may explain: Redis closes the connection
 * on what is above its limits, at times without a word.
 */
export function withSizeHint<P>(error: unknown, batch: Batch<P>): unknown {
  if (!isRxaddError(error) || (error._tag !== "EventTooLarge" && error._tag !== "ConnectionLost"))
    return error;
  const largest = batch.reduce((one, other) => (other.bytes > one.bytes ? other : one));
  const event = `event ${largest.id ?? largest.ordinal} has ${largest.bytes} bytes`;
  if (error._tag === "EventTooLarge")
    return rxaddError("EventTooLarge", `${error.message} The batch's largest ${event}.`, error);
  if (largest.bytes < suspiciousBytes) return error;
  return rxaddError(
    "ConnectionLost",
    `${error.message} (${event}: if this comes again, the server's client-query-buffer-limit may be below that; raise it, or set maxEventBytes)`,
    error,
  );
}
