import { type Direct, mostCharacterBytes, notWritten } from "../../redis/wire/bulk.ts";

/** What a text cannot stand in JSON with as it is: quotes, backslashes, control characters, halves of surrogate pairs. */
const toEscape = /["\\\p{Cc}\p{Cs}]/u;
/** Longer texts are written by one call, shorter ones faster without. */
const mostOneByOne = 64;
/** What lies deeper is left to JSON.stringify, which finds out about circles. */
const mostLevels = 8;
/** Of names that are kept: a program may have as many as there are keys in its data. */
const mostNames = 1000;
const mostNameBytes = 200;
/** No less than a number takes, and a bracket for each level. */
const reservedBytes = 64;

const comma = 0x2c;

/**
 * Writes an object as JSON.stringify would have it, byte for byte, without making a text of it; bigints as text. What in it is
 * no plain object or array, text, number, boolean or null, JSON.stringify is asked for.
 *
 * - **Not written** is what is no plain object itself, or has no room.
 * - **The user's code** may run: getters, `toJSON`, proxies. What it throws is thrown.
 */
export class JsonWriter implements Direct {
  /** Names as they stand before a value: after a comma, in quotes, before a colon. */
  readonly #starts = new Map<string, Uint8Array>();
  /** Those of the object before, in their order: mostly they are those of the next one. */
  readonly #names: string[] = [];
  readonly #startOf: Uint8Array[] = [];
  #count = 0;

  write(value: unknown, memory: Buffer, start: number, end: number): number {
    // Whatever all objects inherit would be taken for theirs.
    for (const _ in Object.prototype) return notWritten;
    if (!isPlain(value)) return notWritten;
    this.#count = 0;
    const at = this.#object(value, memory, start, end - reservedBytes, 1);
    return at === start ? notWritten : at;
  }

  /** Returns `start` for what has no member, which may be something else than it seems. */
  #object(value: object, memory: Buffer, start: number, end: number, level: number): number {
    let at = start;
    for (const name in value) {
      const begin = this.#begin(name);
      const from = at + begin.length;
      if (from > end) return notWritten;
      const member = (value as Readonly<Record<string, unknown>>)[name];
      const to = this.#value(member, memory, from, end, level);
      if (to === notWritten) return notWritten;
      if (to === from) {
        at = other(name, member, memory, at, end);
        if (at === notWritten) return notWritten;
      } else {
        for (let index = 0; index < begin.length; index += 1) memory[at + index] = begin[index] ?? 0;
        at = to;
      }
    }
    if (at === start) return start;
    // In place of the first comma.
    memory[start] = 0x7b;
    memory[at] = 0x7d;
    return at + 1;
  }

  /** Returns `start` for what is left to JSON.stringify. */
  #value(value: unknown, memory: Buffer, start: number, end: number, level: number): number {
    if (typeof value === "string") return text(value, memory, start, end);
    if (typeof value === "number") return number(value, memory, start);
    if (typeof value === "boolean" || value === null) return ascii(`${value}`, memory, start);
    if (typeof value === "bigint")
      return "toJSON" in BigInt.prototype ? start : text(`${value}`, memory, start, end);
    if (level === mostLevels) return start;
    if (isPlain(value)) return this.#object(value, memory, start, end, level + 1);
    return isList(value) ? this.#list(value, memory, start, end, level + 1) : start;
  }

  #list(list: readonly unknown[], memory: Buffer, start: number, end: number, level: number): number {
    const { length } = list;
    let at = start;
    for (let index = 0; index < length; index += 1) {
      if (at > end) return notWritten;
      const to = this.#value(list[index], memory, at + 1, end, level);
      if (to === notWritten) return notWritten;
      if (to === at + 1) return start;
      memory[at] = comma;
      at = to;
    }
    if (at === start) return start;
    memory[start] = 0x5b;
    memory[at] = 0x5d;
    return at + 1;
  }

  #begin(name: string): Uint8Array {
    const index = this.#count;
    this.#count = index + 1;
    const before = this.#startOf[index];
    if (before !== undefined && this.#names[index] === name) return before;
    const begin = this.#starts.get(name) ?? Buffer.from(`,${JSON.stringify(name)}:`);
    if (begin.length > mostNameBytes) return begin;
    if (this.#starts.size >= mostNames) this.#starts.clear();
    this.#starts.set(name, begin);
    if (index < mostNames) {
      this.#names[index] = name;
      this.#startOf[index] = begin;
    }
    return begin;
  }
}

/** Whether JSON.stringify goes by its own members alone. */
function isPlain(value: unknown): value is object {
  return isOf(value, Object.prototype) && !Array.isArray(value);
}

function isList(value: unknown): value is readonly unknown[] {
  return isOf(value, Array.prototype) && Array.isArray(value);
}

function isOf(value: unknown, prototype: object): value is object {
  return (
    typeof value === "object" &&
    value !== null &&
    Object.getPrototypeOf(value) === prototype &&
    (value as { readonly toJSON?: unknown }).toJSON === undefined
  );
}

/** Writes a member as JSON.stringify has it, if it has any of it, after a comma. */
function other(name: string, member: unknown, memory: Buffer, at: number, end: number): number {
  const json = JSON.stringify({ [name]: member });
  if (json === "{}") return at;
  if (at + mostCharacterBytes * json.length > end) return notWritten;
  const to = at + memory.write(json, at) - 1;
  memory[at] = comma;
  return to;
}

function text(value: string, memory: Buffer, at: number, end: number): number {
  const { length } = value;
  if (at + mostCharacterBytes * length > end) return notWritten;
  const from = at + 1;
  let to = length > mostOneByOne ? notWritten : plainText(value, length, memory, from);
  if (to === notWritten) {
    if (toEscape.test(value)) {
      const json = JSON.stringify(value);
      return at + mostCharacterBytes * json.length > end ? notWritten : at + memory.write(json, at);
    }
    to = from + memory.write(value, from);
  }
  memory[at] = 0x22;
  memory[to] = 0x22;
  return to + 1;
}

/** Not found anew for each character: V8 has more kinds of texts than it tells apart where a method of one is called. */
const { charCodeAt } = String.prototype;

/** Writes a text of characters that are one byte each and stand for themselves. */
function plainText(value: string, length: number, memory: Buffer, at: number): number {
  for (let index = 0; index < length; index += 1) {
    const code = charCodeAt.call(value, index);
    if (code < 0x20 || code === 0x22 || code === 0x5c || code > 0x7e) return notWritten;
    memory[at + index] = code;
  }
  return at + length;
}

function number(value: number, memory: Buffer, at: number): number {
  const isShort = value >= 0 && value < 1e15 && Math.floor(value) === value;
  if (!isShort) return ascii(Number.isFinite(value) ? `${value}` : "null", memory, at);
  if (value < 1e9) return digits(value, 1, memory, at);
  const high = Math.floor(value / 1e9);
  return digits(value - high * 1e9, 9, memory, digits(high, 1, memory, at));
}

/** Writes a number below 1e9 with as many digits at least. */
function digits(value: number, least: number, memory: Buffer, at: number): number {
  let count = least;
  for (let most = 10 ** least; value >= most; most *= 10) count += 1;
  let rest = value | 0;
  for (let index = at + count - 1; index >= at; index -= 1) {
    const tenth = (rest / 10) | 0;
    memory[index] = 0x30 + rest - 10 * tenth;
    rest = tenth;
  }
  return at + count;
}

function ascii(value: string, memory: Buffer, at: number): number {
  return plainText(value, value.length, memory, at);
}
