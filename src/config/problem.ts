import type * as t from "io-ts";
import { redactUri } from "../redactUri.ts";

/** Where in a configuration: names and, in lists, numbers. */
export type Path = readonly (string | number)[];

/** Such as `sinks[0].config.stream`. */
export function pathText(path: Path): string {
  return path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : text === "" ? key : `${text}.${key}`),
    "",
  );
}

/** What was found, short, and without a password that may be in it. */
function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = typeof value === "string" ? redactUri(value) : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
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
