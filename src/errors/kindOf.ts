/** What a value is, for a message that must not show it. */
export function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  switch (typeof value) {
    case "string":
      return value === "" ? "an empty text" : "a text";
    case "number":
      return Number.isFinite(value) ? "a number" : `${value}`;
    case "object":
      return Array.isArray(value) ? "a list" : value instanceof Promise ? "a Promise" : "an object";
    default:
      return `a ${typeof value}`;
  }
}
