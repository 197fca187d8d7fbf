import type { Transaction } from "./changeEvent.ts";
import type { Entry } from "./entry.ts";
import { isSinkError, sinkError } from "./sinkError.ts";
import type { EventAccess, SinkSettings } from "./sinkOptions.ts";
import { isStreamTemplate, streamTemplate } from "./streamTemplate.ts";

/** A property of an event of unknown type. */
function read(event: unknown, name: string): unknown {
  return typeof event === "object" && event !== null
    ? (event as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function idOf(event: unknown): string | undefined {
  const id = read(event, "id");
  return typeof id === "string" ? id : undefined;
}

function transactionOf(event: unknown): Transaction | undefined {
  const transaction = read(event, "transaction");
  return typeof read(transaction, "id") === "string" ? (transaction as Transaction) : undefined;
}

/** JSON, with bigints as text; the plain form is tried first because a replacer makes it several times slower. */
function toJson(event: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(event);
  } catch {
    text = JSON.stringify(event, (_, value) => (typeof value === "bigint" ? value.toString() : value));
  }
  if (text === undefined) throw new TypeError(`found ${typeof event}, which JSON cannot express`);
  return text;
}

function streamOf<T>(stream: SinkSettings<T, unknown>["stream"]): (event: T) => string {
  if (typeof stream === "function") return stream;
  return isStreamTemplate(stream) ? streamTemplate(stream) : () => stream;
}

/**
 * Makes the function that encodes an event, once, and takes from it all that the chain asks of it.
 * It fails with `EventNotEncodable`, `StreamUnresolved` or `PositionInvalid`, naming the event.
 */
export function toEntry<T, P>({
  stream,
  event: access = {},
  metrics,
}: SinkSettings<T, P>): (event: T, ordinal: number) => Entry<P> {
  const {
    id = idOf,
    // The default fits events whose `position` is a P, as ChangeEvent<P> says.
    position = (event) => read(event, "position") as P | undefined,
    transaction = transactionOf,
    encode = toJson,
    fields,
  }: EventAccess<T, P> = access;
  const toStream = streamOf(stream);
  const now = metrics === undefined ? () => 0 : () => performance.now();
  let totalBytes = 0;

  function attempt<A>(
    what: "encode" | "stream" | "position",
    ordinal: number,
    event: T,
    read: (event: T) => A,
  ): A {
    try {
      return read(event);
    } catch (error) {
      if (isSinkError(error)) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      const tag =
        what === "encode" ? "EventNotEncodable" : what === "stream" ? "StreamUnresolved" : "PositionInvalid";
      throw sinkError(tag, `event ${idOf(event) ?? ordinal}: ${what} failed: ${reason}`, error);
    }
  }

  return (event, ordinal) => {
    const payload = attempt("encode", ordinal, event, encode);
    const extra =
      fields === undefined ? undefined : Object.entries(attempt("encode", ordinal, event, fields)).flat();
    let bytes = Buffer.byteLength(payload);
    for (const part of extra ?? []) bytes += Buffer.byteLength(part);
    totalBytes += bytes;
    return {
      ordinal,
      stream: attempt("stream", ordinal, event, toStream),
      payload,
      extra,
      bytes,
      totalBytes,
      id: id(event),
      position: attempt("position", ordinal, event, position),
      transaction: transaction(event),
      arrivedMs: now(),
    };
  };
}
