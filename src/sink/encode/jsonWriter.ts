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

/** A member that takes more is written anew each time. A multiple of four. */
const mostRepeatedBytes = 128;

const comma = 0x2c;

/** Memory, and a view of it, by which four bytes are copied at once. */
interface Target {
  readonly memory: Buffer;
  readonly view: DataView;
}

/** A member by its name. Mostly it has few different values: one that comes for the third time in a row is copied. */
class Member {
  readonly name: string;
  /** What stands before the value: a comma, the name in quotes, a colon. */
  readonly begin: Uint8Array;
  #value: unknown;
  /** Both, where the value has come twice; it is `#length` long, or 0. */
  #text: DataView | undefined;
  #length = 0;

  constructor(name: string) {
    this.name = name;
    this.begin = Buffer.from(`,${JSON.stringify(name)}:`);
  }

  /** Writes all of it, if the value is as it was; returns up to where, or `at`. */
  repeat(value: unknown, view: DataView, at: number, end: number): number {
    const length = this.#length;
    if (length === 0 || this.#text === undefined || at + length > end || !isSame(value, this.#value))
      return at;
    copy(this.#text, 0, view, at, length);
    return at + length;
  }

  /** Takes note of what has been written. */
  wrote(value: unknown, view: DataView, at: number, to: number): void {
    const length = to - at;
    const isAgain = isSame(value, this.#value);
    const canRepeat = length <= mostRepeatedBytes && isPrimitive(value);
    this.#value = canRepeat ? value : undefined;
    this.#length = 0;
    if (!isAgain || !canRepeat) return;
    this.#text ??= new DataView(new ArrayBuffer(mostRepeatedBytes));
    copy(view, at, this.#text, 0, length);
    this.#length = length;
  }
}

/**
 * Writes an object as JSON.stringify would have it, byte for byte, without making a text of it; bigints as text. What in it is
 * no plain object or array, text, number, boolean or null, JSON.stringify is asked for.
 *
 * - **Not written** is what is no plain object itself, or has no room.
 * - **The user's code** may run: getters, `toJSON`, proxies. What it throws is thrown.
 */
export class JsonWriter implements Direct {
  readonly #members = new Map<string, Member>();
  /** Those of the object before, in their order: mostly they are those of the next one. */
  readonly #order: Member[] = [];
  #count = 0;
  #target: Target | undefined;

  write(value: unknown, memory: Buffer, start: number, end: number): number {
    // Whatever all objects inherit would be taken for theirs.
    for (const _ in Object.prototype) return notWritten;
    if (!isPlain(value)) return notWritten;
    this.#count = 0;
    const at = this.#object(value, this.#targetOf(memory), start, end - reservedBytes, 1);
    return at === start ? notWritten : at;
  }

  /** Lets go of the memory that it has written into. */
  rest(): void {
    this.#target = undefined;
  }

  #targetOf(memory: Buffer): Target {
    if (this.#target?.memory !== memory)
      this.#target = { memory, view: new DataView(memory.buffer, memory.byteOffset, memory.length) };
    return this.#target;
  }

  /** Returns `start` for what has no member, which may be something else than it seems. */
  #object(value: object, target: Target, start: number, end: number, level: number): number {
    const { memory, view } = target;
    let at = start;
    for (const name in value) {
      const content = (value as Readonly<Record<string, unknown>>)[name];
      const member = this.#member(name);
      const again = member.repeat(content, view, at, end);
      if (again > at) {
        at = again;
        continue;
      }
      const { begin } = member;
      const from = at + begin.length;
      if (from > end) return notWritten;
      const to = this.#value(content, target, from, end, level);
      if (to === notWritten) return notWritten;
      if (to === from) {
        at = other(name, content, memory, at, end);
        if (at === notWritten) return notWritten;
      } else {
        for (let index = 0; index < begin.length; index += 1) memory[at + index] = begin[index] ?? 0;
        member.wrote(content, view, at, to);
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
  #value(value: unknown, target: Target, start: number, end: number, level: number): number {
    const { memory } = target;
    if (typeof value === "string") return text(value, memory, start, end);
    if (typeof value === "number") return number(value, memory, start);
    if (typeof value === "boolean" || value === null) return ascii(`${value}`, memory, start);
    if (typeof value === "bigint")
      return "toJSON" in BigInt.prototype ? start : text(`${value}`, memory, start, end);
    if (level === mostLevels) return start;
    if (isPlain(value)) return this.#object(value, target, start, end, level + 1);
    return isList(value) ? this.#list(value, target, start, end, level + 1) : start;
  }

  #list(list: readonly unknown[], target: Target, start: number, end: number, level: number): number {
    const { length } = list;
    const { memory } = target;
    let at = start;
    for (let index = 0; index < length; index += 1) {
      if (at > end) return notWritten;
      const to = this.#value(list[index], target, at + 1, end, level);
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

  #member(name: string): Member {
    const index = this.#count;
    this.#count = index + 1;
    const before = this.#order[index];
    if (before?.name === name) return before;
    const member = this.#members.get(name) ?? new Member(name);
    if (member.begin.length > mostNameBytes) return member;
    if (this.#members.size >= mostNames) this.#members.clear();
    this.#members.set(name, member);
    if (index < mostNames) this.#order[index] = member;
    return member;
  }
}

/** Whether it is what is the same in JSON as long as it is the same itself: unlike a bigint, it has no `toJSON`. */
function isPrimitive(value: unknown): boolean {
  return (
    value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean"
  );
}

/** Looks at the end of texts first, where most differ if they do. */
function isSame(one: unknown, other: unknown): boolean {
  if (typeof one !== "string" || typeof other !== "string") return one === other;
  const last = one.length - 1;
  if (last !== other.length - 1) return false;
  return last < 0 || (charCodeAt.call(one, last) === charCodeAt.call(other, last) && one === other);
}

/** By four bytes: up to three behind them are written as well. */
function copy(from: DataView, start: number, to: DataView, at: number, length: number): void {
  for (let index = 0; index < length; index += 4)
    to.setUint32(at + index, from.getUint32(start + index, true), true);
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
