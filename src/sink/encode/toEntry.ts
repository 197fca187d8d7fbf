import type { TransactionMark } from "../../../operators/batch.ts";
import { isRxaddError, type RxaddError } from "../../errors/rxaddError.ts";
import {
  checkedId,
  checkedTime,
  checkedTransactions,
  type EventAccess,
  idOf,
  ifItCan,
  readProperty,
  timeOf,
  transactionOf,
} from "../../event/eventAccess.ts";
import { ownPosition, type StorablePositions } from "../../event/positions.ts";
import { isSkipped, type Skipped } from "../../pipeline/keepPositions.ts";
import type { EntryContent } from "../../redis/publish/publishPort.ts";
import { positionText } from "../../telemetry/positionText.ts";
import { attempt, EventFailure } from "./attempt.ts";
import type { Encoder } from "./encoder.ts";
import type { Entry } from "./entry.ts";
import { safePosition } from "./safePosition.ts";

/** What is read of an event beside what is written of it; each may throw. */
function readerOf<T, P>(
  {
    id,
    // The default fits events whose `position` is a P, as ChangeEvent says.
    position = (event) => readProperty(event, "position") as P | null | undefined,
    transaction = transactionOf,
    time = timeOf,
  }: EventAccess<T, P>,
  positions: StorablePositions<P>,
) {
  const checkedTransaction = checkedTransactions();
  /** In JSON there is nothing but null for what is not there. */
  function checkedPosition(found: P | null | undefined): P | undefined {
    if (found === undefined || found === null) return undefined;
    const position = ownPosition(found);
    positions.check(position);
    return position;
  }
  return {
    id: id === undefined ? idOf : (event: T) => checkedId(id(event)),
    position: (event: T) => checkedPosition(position(event)),
    transaction: (event: T) => checkedTransaction(transaction(event)),
    time: (event: T) => checkedTime(time(event)),
    ofSkipped: {
      position: (event: Skipped<P>) => checkedPosition(event.position),
      transaction: (event: Skipped<P>) => checkedTransaction(event.transaction),
    },
  };
}

/** What is wrong with an event, by its name. */
function named<T, P>(
  error: unknown,
  event: T | Skipped<P>,
  ordinal: number,
  position: P | undefined,
  readId: (event: T) => string | undefined,
): unknown {
  if (!(error instanceof EventFailure)) return error;
  const id = isSkipped<P>(event) ? undefined : (ifItCan(event, readId) ?? ifItCan(event, idOf));
  return error.of(id ?? (position === undefined ? `${ordinal}` : `at position ${positionText(position)}`));
}

/**
 * Makes the function that encodes an event, once, and takes from it all that the chain asks of it.
 *
 * An event that cannot be encoded, is too large, or has no stream becomes a dead letter where the sink
 * has a stream for them; else it fails with `EventNotEncodable`, `EventTooLarge` or `StreamUnresolved`.
 * One whose position or transaction cannot be had fails with `PositionInvalid`. Each names the event. A {@link Skipped}
 * has no content.
 */
export function toEntry<T, P>(
  { publish, setAside, passOver }: Encoder<T>,
  access: EventAccess<T, P> = {},
  positions: StorablePositions<P>,
  isWatched: () => boolean,
  refused?: (ordinal: number, error: RxaddError) => void,
): (event: T | Skipped<P>) => Entry<P> {
  const read = readerOf(access, positions);
  const safeOf = safePosition(positions);
  /** Of the next entry: an event that another one is emitted from within comes after that. */
  let ordinal = 0;
  let totalBytes = 0;

  function entryOf(
    { stream, memory, start, end, words, bytes }: EntryContent,
    cause: RxaddError | undefined,
    id: string | undefined,
    position: P | undefined,
    transaction: TransactionMark | undefined,
    timeMs: number | undefined,
  ): Entry<P> {
    totalBytes += bytes;
    return {
      ordinal: ordinal++,
      stream,
      memory,
      start,
      end,
      words,
      bytes,
      cause,
      totalBytes,
      id,
      position,
      safe: safeOf(position, transaction),
      transaction,
      timeMs,
      arrivedMs: isWatched() ? performance.now() : undefined,
    };
  }

  /** Passes over an event that cannot be published, where somebody hears of it. */
  function refuse(
    cause: unknown,
    position: P | undefined,
    transaction: TransactionMark | undefined,
  ): Entry<P> {
    if (refused === undefined || !isRxaddError(cause)) throw cause;
    refused(ordinal, cause);
    return entryOf(passOver(), undefined, undefined, position, transaction, undefined);
  }

  // What is written of an event is written when nothing more is asked of it: in memory all lies in the order of the entries.
  return (event) => {
    let position: P | undefined;
    let transaction: TransactionMark | undefined;
    try {
      if (isSkipped<P>(event)) {
        position = attempt("position", event, read.ofSkipped.position);
        transaction = attempt("transaction", event, read.ofSkipped.transaction);
        return entryOf(passOver(), undefined, undefined, position, transaction, undefined);
      }
      position = attempt("position", event, read.position);
      transaction = attempt("transaction", event, read.transaction);
    } catch (error) {
      return refuse(named(error, event, ordinal, position, read.id), undefined, undefined);
    }

    const timeMs = isWatched() ? ifItCan(event, read.time) : undefined;
    try {
      const id = attempt("id", event, read.id);
      return entryOf(publish(event), undefined, id, position, transaction, timeMs);
    } catch (error) {
      const cause = named(error, event, ordinal, position, read.id);
      if (setAside === undefined || !isRxaddError(cause)) return refuse(cause, position, transaction);
      const id = ifItCan(event, read.id);
      // In the same batch as what goes before and after it, or in a Cluster in a lane of its own.
      const letter = setAside(event, cause, position === undefined ? "" : positions.encode(position));
      refused?.(ordinal, cause);
      return entryOf(letter, cause, id, position, transaction, timeMs);
    }
  };
}
