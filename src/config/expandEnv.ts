/** A variable that is not set. */
export interface MissingVariable {
  readonly path: readonly (string | number)[];
  readonly name: string;
}

export interface Expanded {
  readonly value: unknown;
  readonly missing: readonly MissingVariable[];
}

const reference = /\$\$\{|\$\{([A-Z_][A-Z0-9_]*)(?::-([^}]*))?\}/g;

/**
 * Replaces `${NAME}` and `${NAME:-default}` in every text of a parsed file. `$${` stands for `${`;
 * what is not in upper case, such as `${source.table}`, is a stream template's and stays.
 */
export function expandEnv(
  value: unknown,
  env: Readonly<Record<string, string | undefined>>,
  path: readonly (string | number)[] = [],
): Expanded {
  if (typeof value === "string") {
    const missing: MissingVariable[] = [];
    const text = value.replace(reference, (match, name: string | undefined, fallback: string | undefined) => {
      if (name === undefined) return "${";
      const found = env[name] ?? fallback;
      if (found === undefined) missing.push({ path, name });
      return found ?? match;
    });
    return { value: text, missing };
  }
  if (typeof value !== "object" || value === null) return { value, missing: [] };
  const parts = (Array.isArray(value) ? [...value.entries()] : Object.entries(value)).map(
    ([key, part]) => [key, expandEnv(part, env, [...path, key])] as const,
  );
  const missing = parts.flatMap(([, part]) => part.missing);
  return Array.isArray(value)
    ? { value: parts.map(([, part]) => part.value), missing }
    : { value: Object.fromEntries(parts.map(([key, part]) => [key, part.value])), missing };
}
