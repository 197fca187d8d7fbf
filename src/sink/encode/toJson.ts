/** JSON, with bigints as text; the plain form is tried first because a replacer makes it several times slower. */
export function toJson(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    text = JSON.stringify(value, (_, part) => (typeof part === "bigint" ? part.toString() : part));
  }
  if (text === undefined) throw new TypeError(`found ${typeof value}, which JSON cannot express`);
  return text;
}
