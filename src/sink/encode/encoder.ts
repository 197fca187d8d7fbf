import type { RxaddError } from "../../errors/rxaddError.ts";
import { kindOf } from "../../errors/thrown.ts";
import { ifItCan } from "../../event/eventAccess.ts";
import type { EntryContent } from "../../redis/publish/publishPort.ts";
import { type Bulk, BulkWriter, mostCharacterBytes, type Word } from "../../redis/wire/bulk.ts";
import type { SinkSettings } from "../sinkOptions.ts";
import type { SinkTuning } from "../sinkTuning.ts";
import { attempt, EventFailure } from "./attempt.ts";
import { deadLetterOf, describeEvent } from "./deadLetter.ts";
import { encoderOf, envelopeOf } from "./envelope.ts";
import { columnsOf } from "./flat.ts";
import { JsonWriter } from "./jsonWriter.ts";
import { streamOf } from "./route.ts";
import { fieldTemplates } from "./template.ts";

/** Makes what is written of an event; knows none but the one in hand. */
export interface Encoder<T> {
  /** What an entry of it holds, and where it goes; throws an {@link EventFailure}. */
  readonly publish: (event: T) => EntryContent;
  /** Its dead letter, as much of the event as can be had; `position` is empty without one. Undefined: the sink has no stream for it. */
  readonly setAside: ((event: T, cause: RxaddError, position: string) => EntryContent) | undefined;
  /** What is written of an event that is passed over. */
  readonly passOver: () => EntryContent;
  /** Nothing is needed any more of what it made before this. */
  readonly release: (entry: EntryContent) => void;
  /** Nothing that it has made waits any more: it lets go of the memory for what comes often. */
  readonly rest: () => void;
}

export type EncoderSettings<T, P> = Pick<SinkSettings<T, P>, "id" | "stream" | "key" | "event">;

export type EncoderTuning = Pick<
  SinkTuning,
  "maxEventBytes" | "deadLetters" | "partitions" | "envelope" | "fields"
>;

/** More would not fit on the stack of the Lua script, which must not fail half way. */
const maxFields = 1000;

/** Of the name `event`. */
const nameBytes = 5;

/** Makes the encoder of a sink. An entry's size is that of its fields and values without the name `event`, which each has. */
export function encoder<T, P>(
  settings: EncoderSettings<T, P>,
  { maxEventBytes, deadLetters, partitions, envelope = "native", fields: templates }: EncoderTuning,
): Encoder<T> {
  const {
    encode = encoderOf(envelope === "flat" ? "native" : envelope),
    fields = templates && fieldTemplates(templates),
    content,
  } = settings.event ?? {};
  const toPayload = (event: T) => contentFrom(encode(event));
  const toFields = fields && ((event: T) => fieldsOf(fields(event)));
  const toContent =
    envelope === "flat"
      ? (event: T) => contentOf([...columnsOf(event), ...(toFields?.(event) ?? [])])
      : content && ((event: T) => contentOf(content(event)));
  const toStream = streamOf(settings, partitions);
  const writer = new BulkWriter();
  const isJsonAlone = settings.event?.encode === undefined && toFields === undefined && envelope !== "flat";
  const direct = isJsonAlone ? { json: new JsonWriter(), toValue: envelopeOf(envelope) } : undefined;

  function checkSize(bytes: number): void {
    if (bytes <= maxEventBytes) return;
    throw new EventFailure(
      "EventTooLarge",
      `found ${bytes} bytes, expected at most ${maxEventBytes}: raise maxEventBytes, or set deadLetters`,
    );
  }

  /** They are measured only where they may be too large; whoever writes them measures them anyway. */
  function checkWords(words: readonly Word[], without: number): void {
    let characters = 0;
    for (const { length } of words) characters += length;
    if (characters > maxEventBytes / mostCharacterBytes) checkSize(bytesOf(words) - without);
  }

  const toDirect = (event: T) =>
    direct && writer.writeDirect(direct.json, direct.toValue(event), maxEventBytes);
  const streamFor = (event: T) => attempt("stream", event, toStream);

  /** Nothing is written of an event before all is known to be well with it: what fails takes no memory from what waits. */
  function publish(event: T): EntryContent {
    if (toContent !== undefined) {
      const words = attempt("content", event, toContent);
      checkWords(words, 0);
      return contentOn(streamFor(event), writer.write(words), 0);
    }
    const stream = direct && ifItCan(event, toStream);
    const bulk = stream === undefined ? undefined : ifItCan(event, toDirect);
    if (stream !== undefined && bulk !== undefined) return contentOn(stream, bulk, 0);
    const payload = attempt("encode", event, toPayload);
    if (payload.length > maxEventBytes / mostCharacterBytes) checkSize(Buffer.byteLength(payload));
    if (toFields === undefined) return contentOn(stream ?? streamFor(event), writer.writeOne(payload), 0);
    const words = ["event", payload, ...attempt("fields", event, toFields)];
    checkWords(words, nameBytes);
    return contentOn(streamFor(event), writer.write(words), nameBytes);
  }

  function setAside(stream: string, event: T, cause: RxaddError, position: string): EntryContent {
    const original = ifItCan(event, toPayload) ?? describeEvent(event);
    const origin = { sink: settings.id, stream: ifItCan(event, toStream) ?? "", position };
    return contentOn(stream, writer.write(deadLetterOf(original, cause, origin, maxEventBytes)), nameBytes);
  }

  return {
    publish,
    setAside: deadLetters && ((...letter) => setAside(deadLetters.stream, ...letter)),
    passOver: () => contentOn("", writer.writeNone(), 0),
    release: ({ memory }) => writer.release(memory),
    rest: () => {
      direct?.json.rest();
      writer.rest();
    },
  };
}

/** @param without - how many of the bytes do not count */
function contentOn(
  stream: string,
  { memory, start, end, words, bytes }: Bulk,
  without: number,
): EntryContent {
  return { stream, memory, start, end, words, bytes: bytes - without };
}

/** Text or bytes, as a user's function gives them. */
type Content = string | Uint8Array;

/** Text, or a copy of bytes: who gave them may write the next event there. Throws a TypeError for anything else. */
function contentFrom(value: unknown, what?: string | number): Word {
  if (typeof value === "string") return value;
  // Unlike Buffer.from it goes by what is there, whatever a subclass says of it.
  if (value instanceof Uint8Array) return Buffer.copyBytesFrom(value);
  const found = `found ${kindOf(value)}, expected text or bytes`;
  throw new TypeError(what === undefined ? found : `${what}: ${found}`);
}

/** Fields and values, alternating; throws a TypeError that names the field that is wrong. */
function fieldsOf(fields: Readonly<Record<string, Content>>): readonly Word[] {
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
    throw new TypeError(`found ${kindOf(fields)}, expected an object of texts or bytes by field`);
  }
  const pairs = Object.entries(fields);
  if (pairs.length > maxFields)
    throw new TypeError(`found ${pairs.length} fields, expected at most ${maxFields}`);
  return pairs.flatMap(([name, value]) => [name, contentFrom(value, name)]);
}

/** Names and values of an entry, alternating, as XADD wants them. */
function contentOf(words: readonly Content[]): readonly Word[] {
  if (!Array.isArray(words))
    throw new TypeError(`found ${kindOf(words)}, expected a list of names and values`);
  if (words.length === 0 || words.length % 2 !== 0 || words.length > 2 * maxFields) {
    throw new TypeError(
      `found ${words.length} names and values, expected as many names as values, at least 1 and at most ${maxFields}`,
    );
  }
  // Unlike map it leaves no hole out.
  return Array.from(words, (word, index) => contentFrom(word, index + 1));
}

function bytesOf(words: readonly Word[]): number {
  let bytes = 0;
  for (const word of words) bytes += Buffer.byteLength(word);
  return bytes;
}
