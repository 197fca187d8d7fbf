import type * as t from "io-ts";
import { redactUri } from "../errors/redactUri.ts";
import { Described } from "./described.ts";

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
    const name = key.length > longestShown ? ofLength(key) : redactUri(key);
    return text === "" ? name : `${text}.${name}`;
  }, "");
}

/** What is longer is no setting of ours, and is not looked through for what has to be hidden. */
const longestShown = 1000;

function ofLength(text: string): string {
  return `a text of ${text.length} characters`;
}

/** What was found, short, and without a password that may be in it. */
function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value === "function") return "a function";
  if (typeof value !== "string") return String(value);
  if (value.length > longestShown) return ofLength(value);
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
  if (message !== undefined) return message;
  const type = context.at(-1)?.type;
  const found = type instanceof Described && type.refusesText ? shownElsewhere(value) : shown(value);
  return `found ${found}, expected ${type?.name ?? "something else"}`;
}

/** What was found where no text is expected: a text there, unless it tells that its quotes are too much, may be a secret. */
function shownElsewhere(value: unknown): string {
  const isPlain =
    typeof value !== "string" ||
    /^(-?\d{1,10}(\.\d+)?|true|false|yes|no|on|off|null|\.?inf(inity)?|)$/i.test(value);
  return isPlain ? shown(value) : "a text";
}
