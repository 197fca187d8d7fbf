/** What was thrown, in words. Anything can be thrown, also what neither has a message nor becomes text. */
export function messageOf(thrown: unknown): string {
  try {
    if (!(thrown instanceof Error)) return String(thrown);
    // Such as an AggregateError of Node, of two addresses that both refuse.
    return String(thrown.message || codeOf(thrown) || thrown.name);
  } catch {
    return "something that has no text";
  }
}

/** The `code` that Node and ioredis give their errors; undefined: it has none. */
export function codeOf(thrown: unknown): string | undefined {
  const code = typeof thrown === "object" && thrown !== null && "code" in thrown ? thrown.code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** What was thrown, as an Error. */
export function errorOf(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(messageOf(thrown));
}

/** What a value is, without showing what is in it: `text`, `nothing`, `a number`, `an object`. */
export function kindOf(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (typeof value === "string") return value === "" ? "an empty text" : "text";
  if (typeof value === "number") return Number.isFinite(value) ? "a number" : `${value}`;
  if (Array.isArray(value)) return "a list";
  if (value instanceof Promise) return "a promise";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
