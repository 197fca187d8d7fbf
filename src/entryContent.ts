/** More would not fit on the stack of the Lua script, which must not fail half way. */
const maxFields = 1000;

/** Fields and values, alternating. */
export function fieldsOf(fields: Readonly<Record<string, string | Buffer>>): readonly (string | Buffer)[] {
  const pairs = Object.entries(fields);
  if (pairs.length > maxFields)
    throw new TypeError(`found ${pairs.length} fields, expected at most ${maxFields}`);
  return pairs.flat();
}

/** Names and values of an entry, alternating, as XADD wants them. */
export function contentOf<T>(content: (event: T) => readonly (string | Buffer)[]) {
  return (event: T): readonly (string | Buffer)[] => {
    const words = content(event);
    if (words.length > 0 && words.length % 2 === 0 && words.length <= 2 * maxFields) return words;
    throw new TypeError(
      `found ${words.length} names and values, expected as many names as values, at least 1 and at most ${maxFields}`,
    );
  };
}

/** Of an entry, without the names that every entry has. */
export function bytesOf(payload: string | Buffer, extra: readonly (string | Buffer)[] = []): number {
  let bytes = Buffer.byteLength(payload);
  for (const part of extra) bytes += Buffer.byteLength(part);
  return bytes;
}
