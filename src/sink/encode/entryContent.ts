import { kindOf } from "../../errors/thrown.ts";

/** More would not fit on the stack of the Lua script, which must not fail half way. */
const maxFields = 1000;

/** Text or bytes, as a user's function gives them. */
type Content = string | Uint8Array;

/** Text, or a copy of bytes: who gave them may write the next event there. Throws a TypeError for anything else. */
export function contentFrom(value: unknown, what?: string | number): string | Buffer {
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) return Buffer.from(value);
  const found = `found ${kindOf(value)}, expected text or bytes`;
  throw new TypeError(what === undefined ? found : `${what}: ${found}`);
}

/** Fields and values, alternating; throws a TypeError that names the field that is wrong. */
export function fieldsOf(fields: Readonly<Record<string, Content>>): readonly (string | Buffer)[] {
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
    throw new TypeError(`found ${kindOf(fields)}, expected an object of texts or bytes by field`);
  }
  const pairs = Object.entries(fields);
  if (pairs.length > maxFields)
    throw new TypeError(`found ${pairs.length} fields, expected at most ${maxFields}`);
  return pairs.flatMap(([name, value]) => [name, contentFrom(value, name)]);
}

/** Names and values of an entry, alternating, as XADD wants them. */
export function contentOf<T>(content: (event: T) => readonly Content[]) {
  return (event: T): readonly (string | Buffer)[] => {
    const words = content(event);
    if (!Array.isArray(words))
      throw new TypeError(`found ${kindOf(words)}, expected a list of names and values`);
    if (words.length === 0 || words.length % 2 !== 0 || words.length > 2 * maxFields) {
      throw new TypeError(
        `found ${words.length} names and values, expected as many names as values, at least 1 and at most ${maxFields}`,
      );
    }
    return words.map((word, index) => contentFrom(word, index + 1));
  };
}

/** Of an entry, without the names that every entry has. */
export function bytesOf(payload: string | Buffer, extra: readonly (string | Buffer)[] = []): number {
  let bytes = Buffer.byteLength(payload);
  for (const part of extra) bytes += Buffer.byteLength(part);
  return bytes;
}
