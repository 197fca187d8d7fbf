import type * as t from "io-ts";
import { redactUri } from "../redactUri.ts";

/** One thing wrong with a configuration. */
export interface Problem {
  /** Such as `sinks[0].config.stream`; empty for the file as a whole. */
  readonly path: string;
  /** Where in the text, from 1, if it is there. */
  readonly line: number | undefined;
  readonly column: number | undefined;
  /** What was found and what was expected; without passwords. */
  readonly message: string;
}

/** Where in a configuration: names and, in lists, numbers. */
export type Path = readonly (string | number)[];

/** Such as `sinks[0].config.stream`. A URI that took the place of a name shows no password. */
export function pathText(path: Path): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    return text === "" ? redactUri(key) : `${text}.${redactUri(key)}`;
  }, "");
}

/** What was found, short, and without a password that may be in it. */
function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value === "function") return "a function";
  if (typeof value !== "string") return String(value);
  const text = redactUri(value);
  const short = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  // A text that looks like something else, or like nothing, needs quotes to make sense.
  const isClear = Number.isNaN(Number(value)) && !/^(true|false|null)$|\p{Cc}/u.test(short);
  return isClear ? short : JSON.stringify(short);
}

/** Where what io-ts complains about stands. */
export function pathOf({ context }: t.ValidationError): Path {
  // The first key is the root's; numbers come as text.
  return context.slice(1).map(({ key }) => (/^\d+$/.test(key) ? Number(key) : key));
}

/** What was found there and what was expected. */
export function messageOf({ value, context, message }: t.ValidationError): string {
  return message ?? `found ${shown(value)}, expected ${context.at(-1)?.type.name ?? "something else"}`;
}
