import { type Either, isLeft, left, right } from "fp-ts/lib/Either.js";
import * as t from "io-ts";
import { reasonOf } from "../errors/reasonOf.ts";
import { kindOf } from "../errors/thrown.ts";
import { pathOf, pathText } from "../options/problem.ts";
import { isStandardSchema, issueText, type StandardSchema } from "./standardSchema.ts";
import type { StreamEntry, Word } from "./streamEntry.ts";

type Decoded<E> = Pick<StreamEntry<E>, "fields" | "content" | "event">;

/** Names and values of an entry, as text by name and in their order, and its event; or why there is none in it. */
export type DecodeEntry<E> = (content: readonly Buffer[]) => Either<string, Decoded<E>>;

/** How an entry is read. */
export interface Decoding<E> {
  /** Which field holds the event. Of an entry that has no such field, all its fields are the event, as text. Default `event`. */
  readonly field?: string | undefined;
  /**
   * Decodes what that field holds where it is no JSON, such as Avro; `content` is the whole entry, names and values
   * alternating. If it throws, the entry cannot be decoded. Default: JSON.
   */
  readonly decode?: (event: Buffer, content: readonly Buffer[]) => unknown;
  /**
   * Makes the event of all fields, whatever `event` holds: of their values by name as text, and as bytes; of a name that
   * repeats, the last. Instead of `field` and `decode`. If it throws, the entry cannot be decoded.
   */
  readonly decodeFields?: (
    fields: Readonly<Record<string, string>>,
    bytes: Readonly<Record<string, Buffer>>,
  ) => unknown;
  /**
   * What an event has to be, and what it becomes: a decoder of io-ts, or a schema of zod, valibot, arktype and whatever
   * else is of Standard Schema, which has to give its result at once. Default: it is believed.
   */
  readonly codec?: t.Decoder<unknown, E> | StandardSchema<E>;
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

/** What the field of this name holds; of several the last one counts. */
function lastOf(content: readonly Buffer[], name: Buffer): Buffer | undefined {
  const at = content.findLastIndex((word, index) => index % 2 === 0 && name.equals(word));
  return at === -1 ? undefined : content[at + 1];
}

/** What is in an entry, before it is checked, and what is said where that throws. */
interface Reading {
  readonly eventIn: (entry: Read, content: readonly Buffer[]) => unknown;
  readonly because: (error: unknown) => string;
}

// Whatever a function of the user's does to what it is given, a dead letter is what stands in the stream: it has copies.

function readingOf({ field = "event", decode, decodeFields }: Decoding<unknown>): Reading {
  if (decodeFields !== undefined)
    return {
      eventIn: ({ fields }, content) => {
        const bytes = content.flatMap((word, index) =>
          index % 2 === 1 ? [[`${content[index - 1]}`, Buffer.from(word)] as const] : [],
        );
        return atOnce(decodeFields({ ...fields }, Object.fromEntries(bytes)), "the event");
      },
      because: (error) => `decodeFields: ${reasonOf(error)}`,
    };
  if (decode === undefined)
    return {
      eventIn: ({ fields }) => (Object.hasOwn(fields, field) ? JSON.parse(fields[field] ?? "") : fields),
      because: (error) => noJson(field, error),
    };
  const name = Buffer.from(field);
  return {
    eventIn: ({ fields }, content) => {
      const own = content.map((word) => Buffer.from(word));
      const bytes = lastOf(own, name);
      return bytes === undefined ? fields : atOnce(decode(bytes, own), "the event");
    },
    because: (error) => `decode: ${reasonOf(error)}`,
  };
}

/** Makes the function that reads entries. It does not throw, whatever is in them, and shows nothing of it. */
export function decodeEntry<E>(decoding: Decoding<E>): DecodeEntry<E> {
  const { eventIn, because } = readingOf(decoding);
  const { codec } = decoding;
  const check = codec === undefined ? undefined : checkOf(codec);
  return (content) => {
    const entry = read(content);
    try {
      entry.event = eventIn(entry, content);
    } catch (error) {
      return left(because(error));
    }
    // It is believed.
    if (check === undefined) return right(entry as Decoded<E>);
    const { fields, content: words } = entry;
    try {
      const checked = check(entry.event);
      return isLeft(checked)
        ? left(reasonOf(checked.left))
        : right({ fields, content: words, event: checked.right });
    } catch (error) {
      return left(`codec: ${reasonOf(error)}`);
    }
  };
}

/** Says what is wrong with an event, or what it becomes. */
function checkOf<E>(codec: t.Decoder<unknown, E> | StandardSchema<E>): (event: unknown) => Either<string, E> {
  if (isStandardSchema(codec)) {
    return (event) => {
      const result = atOnce(codec["~standard"].validate(event), "its result");
      return result.issues === undefined
        ? right(result.value)
        : left(problemsOf(result.issues, (issue) => issueText(issue, event)));
    };
  }
  return (event) => {
    const decoded = codec.decode(event);
    return isLeft(decoded) ? left(problemsOf(decoded.left, errorText)) : decoded;
  };
}

function atOnce<A>(value: A | Promise<A>, what: string): A {
  if (!isPromise(value)) return value;
  // What it rejects with would end the process.
  value.then(undefined, () => {});
  throw new TypeError(`found a Promise, expected ${what}: it has to be there at once`);
}

function isPromise<A>(value: A | Promise<A>): value is Promise<A> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** What the parser says shows some of the text. */
function noJson(field: string, error: unknown): string {
  const [at] = /at position \d+/.exec(reasonOf(error)) ?? [];
  return at === undefined ? `${field}: found no JSON` : `${field}: found no JSON ${at}`;
}

/** Without the numbers of what an intersection or a union is made of, which are no places in the value. */
function placesOf(context: t.Context): t.Context {
  return context.filter((_, index) => {
    const within = context[index - 1]?.type;
    return !(within instanceof t.IntersectionType || within instanceof t.UnionType);
  });
}

/** Where and what, but not the value: it would stand in logs. */
function errorText(error: t.ValidationError): string {
  const { value, context, message } = error;
  const path = pathText(pathOf({ ...error, context: placesOf(context) }));
  const expected = context.at(-1)?.type.name ?? "something else";
  const text = message ?? `found ${kindOf(value)}, expected ${expected}`;
  return path === "" ? text : `${path}: ${text}`;
}

function problemsOf<P>(problems: readonly P[], textOf: (problem: P) => string): string {
  const texts = problems.slice(0, mostProblems).map(textOf);
  const left = problems.length - texts.length;
  return left > 0 ? `${texts.join("; ")}; and ${left} more` : texts.join("; ");
}
