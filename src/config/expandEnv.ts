import type { Path } from "../options/problem.ts";

/** A variable that is not set. */
export interface MissingVariable {
  readonly path: Path;
  readonly name: string;
}

export interface Expanded {
  readonly value: unknown;
  readonly missing: readonly MissingVariable[];
}

/** `${NAME}`, or how `${NAME:-default}` begins. */
const reference = /\$\{([A-Z_][A-Z0-9_]*)(\}|:-)/y;

/**
 * Replaces `${NAME}` and `${NAME:-default}` in every text of a parsed file; as in a shell, the default
 * also stands in for an empty variable. `$${` stands for `${`; what is not in upper case, such as
 * `${source.table}`, is a stream template's and stays. A default may hold references and templates of its own.
 */
export function expandEnv(
  value: unknown,
  env: Readonly<Record<string, string | undefined>>,
  path: Path = [],
): Expanded {
  if (typeof value === "string") {
    const missing: MissingVariable[] = [];
    const expanded = expandText(value, env, (name) => missing.push({ path, name }));
    return { value: expanded, missing };
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

/** Goes through the text once, however many references are in it, and in each other. */
function expandText(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
  isMissing: (name: string) => void,
): string {
  const ends = endsOf(text);
  /** Where defaults end that stand in for a variable: what is between stays, the brace goes. */
  const spent = new Set<number>();
  const parts: string[] = [];
  /** What is before it is in the parts. */
  let at = 0;
  for (let index = text.search(/[$}]/); index >= 0 && index < text.length; index += 1) {
    if (spent.has(index)) {
      parts.push(text.slice(at, index));
      at = index + 1;
      continue;
    }
    if (text.startsWith("$${", index)) {
      parts.push(text.slice(at, index), "${");
      index += 2;
      at = index + 1;
      continue;
    }
    reference.lastIndex = index;
    const [match = "", name = "", then] = reference.exec(text) ?? [];
    if (match === "") continue;
    const found = env[name];
    if (then === "}") {
      if (found === undefined) isMissing(name);
      parts.push(text.slice(at, index), found ?? match);
      index += match.length - 1;
      at = index + 1;
      continue;
    }
    const end = ends.get(index);
    if (end === undefined) continue;
    parts.push(text.slice(at, index));
    if (found) {
      parts.push(found);
      index = end;
    } else {
      spent.add(end);
      index += match.length - 1;
    }
    at = index + 1;
  }
  parts.push(text.slice(at));
  return parts.join("");
}

/** Where each `${` ends, by where it begins. */
function endsOf(text: string): ReadonlyMap<number, number> {
  const ends = new Map<number, number>();
  const open: number[] = [];
  for (let index = 0; index < text.length; index += 1) {
    if (text.startsWith("${", index)) open.push(index);
    else if (text[index] === "}") {
      const begin = open.pop();
      if (begin !== undefined) ends.set(begin, index);
    }
  }
  return ends;
}
