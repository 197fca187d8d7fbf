import { isRight } from "fp-ts/lib/Either.js";
import { contramap, type Ord, tuple } from "fp-ts/lib/Ord.js";
import { Ord as ordText } from "fp-ts/lib/string.js";
import { type Condition, Conditions } from "./conditions.ts";

/** A table by its names. */
export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** How far the rows of a table are read. */
export interface Reached {
  /**
   * The key of the last row that was read, as PostgreSQL's texts; empty: there is none, but its clearing was told.
   * Undefined: nothing was.
   */
  readonly after: readonly string[] | undefined;
  /** Tells the key that `after` is of from any other that the table may be given; undefined: there is none yet. */
  readonly by?: string | undefined;
}

/** A table whose rows are read, and how far they are. */
export interface TableRead extends TableName, Reached {
  /** Whether its stream was filled before: then a truncate is told ahead of its rows, and ahead of those of the tables that follow. */
  readonly isAnew: boolean;
  /**
   * Of all tables this one, and then those behind it; or this one, while those behind it have a place of their own, or are read. Or it
   * was asked for: its rows that meet these conditions, `[]` for all.
   */
  readonly scope: "onward" | "alone" | readonly Condition[];
}

/** Which of its rows are read. */
export function whereOf({ scope }: Pick<TableRead, "scope">): readonly Condition[] {
  return typeof scope === "string" ? [] : scope;
}

/** Whether a truncate of it is the next that is told. */
export function isToClear({ isAnew, after }: TableRead): boolean {
  return isAnew && after === undefined;
}

export function isSameTable(a: TableName, b: TableName): boolean {
  return a.name === b.name && a.schema === b.schema;
}

/** In which order tables are read. */
export const ordTable: Ord<TableName> = contramap(({ schema, name }: TableName) => [schema, name] as const)(
  tuple(ordText, ordText),
);

/** `public.orders`. */
export function shownTable({ schema, name }: TableName): string {
  return `${schema}.${name}`;
}

const plain = /^[\w-]+$/;

/** A text that stands between the marks of a position. */
function escaped(text: string): string {
  if (plain.test(text)) return text;
  const left = (mark: string) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text).replace(/[.!~()]/g, left);
}

/** Empty text, too, is a key. */
const escapedKey = (text: string) => (text === "" ? "~" : escaped(text));
const keyOf = (text: string) => (text === "~" ? "" : decodeURIComponent(text));

/** A read but for its key, which each of its rows has another one of. */
export function aroundKey({ schema, name, isAnew, scope, by }: TableRead): readonly [string, string] {
  const marks = `${isAnew ? "!" : ""}${scope === "alone" ? "~" : ""}`;
  const table = `@${marks}${escaped(schema)}.${escaped(name)}${by === undefined ? "" : `(${by})`}/`;
  return [table, typeof scope === "string" ? "" : `?${escaped(JSON.stringify(scope))}`];
}

/** A key within a read. */
export function keyText(key: readonly string[]): string {
  const [first = "", ...others] = key;
  return others.length === 0 ? (key.length === 0 ? "" : escapedKey(first)) : key.map(escapedKey).join("/");
}

function readText(read: TableRead): string {
  const [table, where] = aroundKey(read);
  return `${read.after === undefined ? table.slice(0, -1) : table + keyText(read.after)}${where}`;
}

/** What follows the place in the log, in a position: `@public.orders(5f3a9c1e)/42`, and nothing when nothing is left to be read. */
export function readsText(reads: readonly TableRead[]): string {
  return reads.map(readText).join("");
}

function conditionsIn(text: string): readonly Condition[] {
  const found = Conditions.decode(JSON.parse(text));
  if (isRight(found)) return found.right;
  throw new Error("no conditions");
}

const pattern = /^(!?)(~?)([^./?~]+)\.([^./?()]+)(?:\((\w+)\))?(?:\/([^?]*))?(?:\?(.+))?$/;

function readOf(text: string): TableRead {
  const [, anew, alone, schema = "", name = "", by, key, where] = pattern.exec(text) ?? [];
  return {
    schema: decodeURIComponent(schema),
    name: decodeURIComponent(name),
    by,
    after: key === undefined ? undefined : key === "" ? [] : key.split("/").map(keyOf),
    isAnew: anew === "!",
    scope:
      where === undefined ? (alone === "~" ? "alone" : "onward") : conditionsIn(decodeURIComponent(where)),
  };
}

/** How far the reading of tables is, at a position; undefined: it is no text of `readsText`. */
export function readsOf(position: string): readonly TableRead[] | undefined {
  const [, ...texts] = position.split("@");
  try {
    const reads = texts.map(readOf);
    return readsText(reads) === position.slice(position.length - readsText(reads).length) ? reads : undefined;
  } catch {
    return undefined;
  }
}
