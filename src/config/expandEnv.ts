import type { Path } from "./problem.ts";

/** A variable that is not set. */
export interface MissingVariable {
  readonly path: Path;
  readonly name: string;
}

export interface Expanded {
  readonly value: unknown;
  readonly missing: readonly MissingVariable[];
}

// A default may hold references and templates of its own, one level deep.
const reference = /\$\$\{|\$\{([A-Z_][A-Z0-9_]*)(?::-((?:\$\{[^}]*\}|[^}])*))?\}/g;

/**
 * Replaces `${NAME}` and `${NAME:-default}` in every text of a parsed file; as in a shell, the default
 * also stands in for an empty variable. `$${` stands for `${`; what is not in upper case, such as
 * `${source.table}`, is a stream template's and stays.
 */
export function expandEnv(
  value: unknown,
  env: Readonly<Record<string, string | undefined>>,
  path: Path = [],
): Expanded {
  if (typeof value === "string") {
    const missing: MissingVariable[] = [];
    const expand = (text: string): string =>
      text.replace(reference, (match, name: string | undefined, fallback: string | undefined) => {
        if (name === undefined) return "${";
        const found = env[name];
        if (fallback !== undefined) return found || expand(fallback);
        if (found === undefined) missing.push({ path, name });
        return found ?? match;
      });
    return { value: expand(value), missing };
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
