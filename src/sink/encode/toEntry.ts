import { isRxaddError, type PlainTag, type RxaddError, rxaddError } from "../../errors/rxaddError.ts";
import { messageOf } from "../../errors/thrown.ts";
import type { EventAccess } from "../../event/eventAccess.ts";
import {
  checkedId,
  checkedTime,
  checkedTransactions,
  idOf,
  ifItCan,
  readProperty,
  timeOf,
  transactionOf,
} from "../../event/eventAccess.ts";
import type { StorablePositions } from "../../event/positions.ts";
import { isSkipped, type Skipped } from "../../pipeline/keepPositions.ts";
import { positionText } from "../../telemetry/positionText.ts";
import type { SinkSettings } from "../sinkOptions.ts";
import type { SinkTuning } from "../sinkTuning.ts";
import { deadLetterOf, describeEvent } from "./deadLetter.ts";
import type { Entry } from "./entry.ts";
import { bytesOf, contentFrom, contentOf, fieldsOf } from "./entryContent.ts";
import { encoderOf } from "./envelope.ts";
import { streamOf } from "./route.ts";
import { safePosition } from "./safePosition.ts";
import { fieldTemplates } from "./template.ts";

/** What is asked of an event, and what it is when that fails. */
const failures = {
  encode: "EventNotEncodable",
  fields: "EventNotEncodable",
  content: "EventNotEncodable",
  id: "EventNotEncodable",
  stream: "StreamUnresolved",
  // Of an event whose place is not known nobody could say what is safe, so it cannot be set aside either.
  position: "PositionInvalid",
  transaction: "PositionInvalid",
} as const satisfies Readonly<Record<string, PlainTag>>;

/** Whether it is skipped; to look may run code of the event's, as of a Proxy. */
function isPassedOver<P>(event: unknown): event is Skipped<P> {
  return ifItCan(event, isSkipped) ?? false;
}

/** Where an event stands in its source. */
type Place<P> = Pick<Entry<P>, "position" | "transaction">;

type EntryTuning = Pick<SinkTuning, "maxEventBytes" | "deadLetters" | "partitions" | "envelope" | "fields">;

/**
 * Makes the function that encodes an event, once, and takes from it all that the chain asks of it.
 *
 * An event that cannot be encoded, is too large, or has no stream becomes a dead letter where the sink
 * has a stream for them; else it fails with `EventNotEncodable`, `EventTooLarge` or `StreamUnresolved`.
 * One whose position or transaction cannot be had fails with `PositionInvalid`. Each names the event. A {@link Skipped}
 * has no content.
 */
export function toEntry<T, P>(
  settings: SinkSettings<T, P>,
  { maxEventBytes, deadLetters, partitions, envelope, fields: templates }: EntryTuning,
  positions: StorablePositions<P>,
  isWatched: () => boolean,
): (event: T | Skipped<P>, ordinal: number) => Entry<P> {
  const { id: sink, event: access = {} } = settings;
  const {
    id,
    // The default fits events whose `position` is a P, as ChangeEvent<P> says.
    position = (event) => readProperty(event, "position") as P | null | undefined,
    transaction = transactionOf,
    time = timeOf,
    encode = encoderOf(envelope),
    fields = templates && fieldTemplates(templates),
    content,
  }: EventAccess<T, P> = access;
  const toId = id === undefined ? idOf : (event: T) => checkedId(id(event));
  const checkedTransaction = checkedTransactions();
  const toTransaction = (event: T) => checkedTransaction(transaction(event));
  const toTime = (event: T) => checkedTime(time(event));
  const toPayload = (event: T) => contentFrom(encode(event));
  const toFields = fields && ((event: T) => fieldsOf(fields(event)));
  const toContent = content && contentOf(content);
  const toStream = streamOf(settings, partitions);
  const safeOf = safePosition(positions);
  let totalBytes = 0;

  /** The event's name for messages. */
  function nameOf(event: T | Skipped<P>, ordinal: number, position: P | undefined): string {
    const id = isPassedOver<P>(event) ? undefined : (ifItCan(event, toId) ?? ifItCan(event, idOf));
    return id ?? (position === undefined ? `${ordinal}` : `at position ${positionText(position)}`);
  }

  /** Runs a function of the user's; what it throws becomes an error that names the event. */
  function attempt<E extends T | Skipped<P>, A>(
    what: keyof typeof failures,
    ordinal: number,
    event: E,
    ask: (event: E) => A,
    position?: P,
  ): A {
    try {
      return ask(event);
    } catch (error) {
      const name = nameOf(event, ordinal, position);
      throw rxaddError(failures[what], `event ${name}: ${what} failed: ${messageOf(error)}`, error);
    }
  }

  function toPosition(event: T): P | undefined {
    return checkedPosition(position(event));
  }

  /** In JSON there is nothing but null for what is not there. */
  function checkedPosition(found: P | null | undefined): P | undefined {
    if (found === undefined || found === null) return undefined;
    positions.check(found);
    return found;
  }

  function entryOf(
    event: T,
    ordinal: number,
    place: Place<P>,
    id: string | undefined,
    stream: string,
    payload: string | Buffer,
    extra: readonly (string | Buffer)[] | undefined,
    bytes: number,
    deadLetter?: RxaddError,
  ): Entry<P> {
    totalBytes += bytes;
    return {
      ordinal,
      stream,
      payload,
      extra,
      bytes,
      totalBytes,
      deadLetter,
      isWhole: content !== undefined && deadLetter === undefined,
      isSkipped: false,
      id,
      position: place.position,
      safe: safeOf(place.position, place.transaction),
      transaction: place.transaction,
      timeMs: isWatched() ? ifItCan(event, toTime) : undefined,
      arrivedMs: isWatched() ? performance.now() : undefined,
    };
  }

  function publishable(event: T, ordinal: number, place: Place<P>): Entry<P> {
    const { position } = place;
    const whole = toContent && attempt("content", ordinal, event, toContent, position);
    const payload = whole === undefined ? attempt("encode", ordinal, event, toPayload, position) : "";
    const extra = whole ?? (toFields && attempt("fields", ordinal, event, toFields, position));
    const bytes = bytesOf(payload, extra);
    if (bytes > maxEventBytes) {
      throw rxaddError(
        "EventTooLarge",
        `event ${nameOf(event, ordinal, position)}: found ${bytes} bytes, expected at most ${maxEventBytes}: raise maxEventBytes, or set deadLetters`,
      );
    }
    const id = attempt("id", ordinal, event, toId, position);
    const key = attempt("stream", ordinal, event, toStream, position);
    return entryOf(event, ordinal, place, id, key, payload, extra, bytes);
  }

  /** In the same batch as what goes before and after it, or in a Cluster in a lane of its own. */
  function setAside(cause: unknown, event: T, ordinal: number, place: Place<P>): Entry<P> {
    if (deadLetters === undefined || !isRxaddError(cause)) throw cause;
    const original = ifItCan(event, toPayload) ?? describeEvent(event);
    const origin = {
      sink,
      stream: ifItCan(event, toStream) ?? "",
      position: place.position === undefined ? "" : positions.encode(place.position),
    };
    const { payload, extra } = deadLetterOf(original, cause, origin, maxEventBytes);
    const bytes = bytesOf(payload, extra);
    const id = ifItCan(event, toId);
    return entryOf(event, ordinal, place, id, deadLetters.stream, payload, extra, bytes, cause);
  }

  /** Has a place in its batch, and no content. */
  function skippedEntry(skipped: Skipped<P>, ordinal: number): Entry<P> {
    const position = attempt("position", ordinal, skipped, ({ position }) => checkedPosition(position));
    const transaction = attempt("transaction", ordinal, skipped, ({ transaction }) =>
      checkedTransaction(transaction),
    );
    return {
      ordinal,
      stream: "",
      payload: "",
      extra: undefined,
      bytes: 0,
      totalBytes,
      deadLetter: undefined,
      isWhole: false,
      isSkipped: true,
      id: undefined,
      position,
      safe: safeOf(position, transaction),
      transaction,
      timeMs: undefined,
      arrivedMs: isWatched() ? performance.now() : undefined,
    };
  }

  return (event, ordinal) => {
    if (isPassedOver<P>(event)) return skippedEntry(event, ordinal);
    const place = {
      position: attempt("position", ordinal, event, toPosition),
      transaction: attempt("transaction", ordinal, event, toTransaction),
    };
    try {
      return publishable(event, ordinal, place);
    } catch (cause) {
      return setAside(cause, event, ordinal, place);
    }
  };
}
