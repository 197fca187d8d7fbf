import { getOrElse, tryCatch } from "fp-ts/lib/Option.js";
import type { SinkTuning } from "./config/sinkTuning.ts";
import { deadLetterOf, describeEvent } from "./deadLetter.ts";
import type { Entry } from "./entry.ts";
import { bytesOf, contentOf, fieldsOf } from "./entryContent.ts";
import { encoderOf } from "./envelope.ts";
import { idOf, readProperty, timeOf, transactionOf } from "./eventDefaults.ts";
import { isSkipped, type Skipped } from "./keepPositions.ts";
import type { Positions } from "./positions.ts";
import { safePosition } from "./sink/encode/safePosition.ts";
import { isSinkError, type PlainTag, type SinkError, sinkError } from "./sinkError.ts";
import type { EventAccess, SinkSettings } from "./sinkOptions.ts";
import { fieldTemplates } from "./streamTemplate.ts";
import { streamOf } from "./toStream.ts";

const actions = {
  EventNotEncodable: "encode",
  StreamUnresolved: "stream",
  PositionInvalid: "position",
} as const satisfies { readonly [Tag in PlainTag]?: string };

/** Runs a function of the user's; what it throws becomes an error that names the event. */
function attempt<T, A>(tag: keyof typeof actions, ordinal: number, event: T, what: (event: T) => A): A {
  try {
    return what(event);
  } catch (error) {
    if (isSinkError(error)) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw sinkError(tag, `event ${idOf(event) ?? ordinal}: ${actions[tag]} failed: ${reason}`, error);
  }
}

type EntryTuning = Pick<SinkTuning, "maxEventBytes" | "deadLetters" | "partitions" | "envelope" | "fields">;

/**
 * Makes the function that encodes an event, once, and takes from it all that the chain asks of it.
 *
 * An event that cannot be encoded, is too large, or has no stream becomes a dead letter where the sink
 * has a stream for them; else it fails with `EventNotEncodable`, `EventTooLarge` or `StreamUnresolved`.
 * One without a readable position fails with `PositionInvalid`. Each names the event. A {@link Skipped} has no content.
 */
export function toEntry<T, P>(
  settings: SinkSettings<T, P>,
  { maxEventBytes, deadLetters, partitions, envelope, fields: templates }: EntryTuning,
  positions: Positions<P>,
  isWatched: () => boolean,
): (event: T | Skipped<P>, ordinal: number) => Entry<P> {
  const { id: sink, event: access = {} } = settings;
  const {
    id = idOf,
    // The default fits events whose `position` is a P, as ChangeEvent<P> says.
    position = (event) => readProperty(event, "position") as P | undefined,
    transaction = transactionOf,
    time = timeOf,
    encode = encoderOf(envelope),
    fields = templates && fieldTemplates(templates),
    content,
  }: EventAccess<T, P> = access;
  const toStream = streamOf(settings, partitions);
  const safeOf = safePosition(positions);
  let totalBytes = 0;

  function entryOf(
    event: T,
    ordinal: number,
    at: P | undefined,
    stream: string,
    payload: string | Buffer,
    extra?: readonly (string | Buffer)[],
    bytes = bytesOf(payload, extra),
    deadLetter?: SinkError,
  ): Entry<P> {
    totalBytes += bytes;
    const mark = transaction(event);
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
      id: id(event),
      position: at,
      safe: safeOf(at, mark),
      transaction: mark,
      timeMs: isWatched() ? time(event) : undefined,
      arrivedMs: isWatched() ? performance.now() : undefined,
    };
  }

  function publishable(event: T, ordinal: number, at: P | undefined): Entry<P> {
    const whole = content && attempt("EventNotEncodable", ordinal, event, contentOf(content));
    const payload = whole === undefined ? attempt("EventNotEncodable", ordinal, event, encode) : "";
    const extra =
      whole ?? (fields && attempt("EventNotEncodable", ordinal, event, (event) => fieldsOf(fields(event))));
    const bytes = bytesOf(payload, extra);
    if (bytes > maxEventBytes) {
      throw sinkError(
        "EventTooLarge",
        `event ${idOf(event) ?? ordinal}: found ${bytes} bytes, expected at most ${maxEventBytes}: raise maxEventBytes, or set deadLetters`,
      );
    }
    const key = attempt("StreamUnresolved", ordinal, event, toStream);
    return entryOf(event, ordinal, at, key, payload, extra, bytes);
  }

  /** In the same batch as what goes before and after it, or in a Cluster in a lane of its own. */
  function setAside(cause: unknown, event: T, ordinal: number, at: P | undefined): Entry<P> {
    if (deadLetters === undefined || !isSinkError(cause)) throw cause;
    const target = getOrElse(() => "")(tryCatch(() => toStream(event)));
    const original = getOrElse<string | Buffer>(() => describeEvent(event))(tryCatch(() => encode(event)));
    const origin = { sink, stream: target, position: at === undefined ? "" : positions.encode(at) };
    const { payload, extra } = deadLetterOf(original, cause, origin, maxEventBytes);
    return entryOf(event, ordinal, at, deadLetters.stream, payload, extra, undefined, cause);
  }

  /** Has a place in its batch, and no content. */
  function skippedEntry({ position, transaction }: Skipped<P>, ordinal: number): Entry<P> {
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
    if (isSkipped<P>(event)) return skippedEntry(event, ordinal);
    const at = attempt("PositionInvalid", ordinal, event, position);
    try {
      return publishable(event, ordinal, at);
    } catch (cause) {
      return setAside(cause, event, ordinal, at);
    }
  };
}
