import { messageOf } from "./thrown.ts";

/** As much as a line of a log, or the field of an entry, shall take. */
const longest = 1000;

/** What was thrown, in words and short. */
export function reasonOf(thrown: unknown): string {
  const text = messageOf(thrown);
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}
