import { isRxaddError, type RxaddError, rxaddError } from "../../errors/rxaddError.ts";
import { shownPosition } from "../../event/lsn.ts";
import type { BatchNumber } from "../../redis/publish/protocol.ts";
import type { LaneKeys, PublishReply } from "../../redis/publish/publishPort.ts";
import type { Batch } from "../encode/entry.ts";

/**
 * What it means that Redis did not take a batch.
 *
 * @param acknowledged - the highest sequence that Redis has acknowledged to this writer
 */
export function findingError<P>(
  found: Exclude<PublishReply, { readonly reply: "published" }>,
  { stream = "the computed streams", state }: LaneKeys,
  sent: BatchNumber,
  acknowledged: number,
  decodePosition: (text: string) => P | undefined,
): RxaddError {
  switch (found.reply) {
    case "fenced":
      return fenced(state, sent.epoch, found.epoch);
    case "gap":
      if (found.sequence >= acknowledged) {
        return rxaddError(
          "EarlierBatchFailed",
          `${stream}: batch ${sent.sequence} waits for batch ${found.sequence + 1}, which failed`,
        );
      }
      return rxaddError(
        "RewindRequired",
        `${state}: found sequence ${found.sequence}, but ${acknowledged} was acknowledged: Redis has lost batches; send again from position ${shownPosition(found.position) || "(beginning)"}`,
        undefined,
        { position: decodePosition(found.position) },
      );
    case "outdated":
      return rxaddError(
        "RewindRequired",
        `${state}: found an older epoch than mine, ${sent.epoch}: Redis has lost writes; send again from position ${shownPosition(found.position) || "(beginning)"}`,
        undefined,
        { position: decodePosition(found.position) },
      );
    case "missing":
      if (found.streamStands) return stateGone({ stream, state });
      return rxaddError(
        "RewindRequired",
        `${state}: the producer state and the stream are gone: Redis has lost its data; send again from the beginning`,
        undefined,
        { position: undefined },
      );
  }
}

/** Another writer has opened what stands under a key. */
export function fenced(key: string, epoch: number, storedEpoch: number): RxaddError {
  return rxaddError(
    "Fenced",
    `${key}: found ${storedEpoch === epoch ? "another owner" : `epoch ${storedEpoch}, mine is ${epoch}`}: another writer with this sink id has taken over; run one writer per sink id`,
    undefined,
    { epoch, storedEpoch },
  );
}

/** The producer state is gone, and its streams stand: beginning again may double what they hold. */
export function stateGone({
  stream = "the computed streams",
  state,
}: Pick<LaneKeys, "stream" | "state">): RxaddError {
  return rxaddError(
    "ProducerStateMissing",
    `${state}: the producer state is gone but ${stream} stands: somebody deleted it; restore it, or delete the stream and ${state}:mark as well; or start once with adopt: true, which publishes again what the source sends again: a PostgreSQL source all of its tables anew, with acceptHole: true and snapshot: initial`,
  );
}

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
  const { bytes } = largest;
  const event = `event ${largest.id ?? largest.ordinal} has ${bytes} bytes`;
  if (error._tag === "EventTooLarge")
    return rxaddError("EventTooLarge", `${error.message} The batch's largest ${event}.`, error);
  if (bytes < suspiciousBytes) return error;
  return rxaddError(
    "ConnectionLost",
    `${error.message} (${event}: if this comes again, the server's client-query-buffer-limit may be below that; raise it, or set maxEventBytes)`,
    error,
  );
}
