import { type Either, isLeft, left, right } from "fp-ts/lib/Either.js";
import * as t from "io-ts";
import { reasonOf } from "../errors/reasonOf.ts";
import { kindOf } from "../errors/thrown.ts";
import { pathOf, pathText } from "../options/problem.ts";
import type { StreamEntry, Word } from "./streamEntry.ts";

type Decoded<E> = Pick<StreamEntry<E>, "fields" | "content" | "event">;

/** Names and values of an entry, as text by name and in their order, and its event; or why there is none in it. */
export type DecodeEntry<E> = (content: readonly Buffer[]) => Either<string, Decoded<E>>;

/** How an entry is read. */
export interface Decoding<E> {
  /**
   * Decodes what the field `event` holds where that is no JSON, such as Avro; `content` is the whole entry, names and
   * values alternating. If it throws, the entry cannot be decoded. Default: JSON.
   */
  readonly decode?: (event: Buffer, content: readonly Buffer[]) => unknown;
  /** What an event has to be; of an entry without a field `event`, all its fields. Default: it is believed. */
  readonly codec?: t.Decoder<unknown, E>;
}

/** Most problems that are named: a large event may have as many as it has values. */
const mostProblems = 10;

/** Whether it reads `event`; for each entry, so it calls nothing. */
function isEventName(name: Buffer): boolean {
  return (
    name.length === 5 &&
    name[0] === 0x65 &&
    name[1] === 0x76 &&
    name[2] === 0x65 &&
    name[3] === 0x6e &&
    name[4] === 0x74
  );
}

/** The text of bytes that are nothing else, and other bytes as they are: a Buffer costs more than to read it. */
function wordOf(bytes: Buffer, text = bytes.toString()): Word {
  return text.includes("\u{fffd}") ? bytes : text;
}

/** An entry on its way to being decoded: one object, as there is one for each entry. */
interface Read {
  readonly fields: Readonly<Record<string, string>>;
  readonly content: readonly Word[];
  event: unknown;
}

/** An entry's fields by their names, and its content: a dead letter holds it, whatever a handler tries. */
function read(content: readonly Buffer[]): Read {
  const [name, value] = content;
  // As nearly all are.
  if (content.length === 2 && name !== undefined && value !== undefined && isEventName(name)) {
    const event = value.toString();
    return { fields: { event }, content: Object.freeze(["event", wordOf(value, event)]), event: undefined };
  }
  const pairs: [string, string][] = [];
  for (let index = 0; index + 1 < content.length; index += 2)
    pairs.push([`${content[index]}`, `${content[index + 1]}`]);
  // An assignment would lose what is called `__proto__`.
  const words = Object.freeze(content.map((word) => wordOf(word)));
  return { fields: Object.fromEntries(pairs), content: words, event: undefined };
}

/** What the field `event` holds; of several the last one counts. */
function eventOf(content: readonly Buffer[]): Buffer | undefined {
  const at = content.findLastIndex((word, index) => index % 2 === 0 && isEventName(word));
  return at === -1 ? undefined : content[at + 1];
}

/** Makes the function that reads entries. It does not throw, whatever is in them, and shows nothing of it. */
export function decodeEntry<E>({ decode, codec }: Decoding<E>): DecodeEntry<E> {
  return (content) => {
    const entry = read(content);
    const { fields } = entry;
    let value: unknown = fields;
    try {
      const bytes = decode === undefined ? undefined : eventOf(content);
      if (bytes !== undefined) value = atOnce(decode?.(bytes, content));
      else if (fields.event !== undefined) value = JSON.parse(fields.event);
    } catch (error) {
      return left(decode === undefined ? noJson(error) : `decode: ${reasonOf(error)}`);
    }
    if (codec === undefined) {
      entry.event = value;
      // It is believed.
      return right(entry as Decoded<E>);
    }
    try {
      const decoded = codec.decode(value);
      return isLeft(decoded)
        ? left(problemsOf(decoded.left))
        : right({ fields, content: entry.content, event: decoded.right });
    } catch (error) {
      return left(`codec: ${reasonOf(error)}`);
    }
  };
}

function atOnce(value: unknown): unknown {
  if (!(value instanceof Promise)) return value;
  // What it rejects with would end the process.
  value.catch(() => {});
  throw new TypeError("found a Promise, expected the event: it has to be there at once");
}

/** What the parser says shows some of the text. */
function noJson(error: unknown): string {
  const [at] = /at position \d+/.exec(reasonOf(error)) ?? [];
  return at === undefined ? "event: found no JSON" : `event: found no JSON ${at}`;
}

/** Without the numbers of what an intersection or a union is made of, which are no places in the value. */
function placesOf(context: t.Context): t.Context {
  return context.filter((_, index) => {
    const within = context[index - 1]?.type;
    return !(within instanceof t.IntersectionType || within instanceof t.UnionType);
  });
}

/** Where and what, but not the values: they would stand in logs. */
function problemsOf(errors: t.Errors): string {
  const texts = errors.slice(0, mostProblems).map((error) => {
    const { value, context, message } = error;
    const path = pathText(pathOf({ ...error, context: placesOf(context) }));
    const expected = context.at(-1)?.type.name ?? "something else";
    const text = message ?? `found ${kindOf(value)}, expected ${expected}`;
    return path === "" ? text : `${path}: ${text}`;
  });
  const left = errors.length - texts.length;
  return reasonOf(left > 0 ? `${texts.join("; ")}; and ${left} more` : texts.join("; "));
}
