import { contramap, fromCompare, type Ord } from "fp-ts/lib/Ord.js";
import type { Ordering } from "fp-ts/lib/Ordering.js";

declare const lsn: unique symbol;

/**
 * Where a change stands in PostgreSQL's write-ahead log: the LSN of its transaction's commit and,
 * after a colon, its number within the transaction, from 1: `16/B374D848:3`. Upper-case hexadecimal
 * without leading zeros, so that equal positions are equal strings.
 */
export type Lsn = string & { readonly [lsn]: true };

const pattern = /^(?:0|[1-9A-F][0-9A-F]{0,7})\/(?:0|[1-9A-F][0-9A-F]{0,7})(?::[1-9][0-9]*)?$/;

/** Whether a string is an {@link Lsn} in its canonical form. */
export function isLsn(text: string): text is Lsn {
  return pattern.test(text);
}

/** Numbers without leading zeros compare by length, then by digits. */
function compareDigits(a: string, b: string): Ordering {
  if (a.length !== b.length) return a.length < b.length ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1;
}

function split(position: string): readonly [string, string, string] {
  const slash = position.indexOf("/");
  const colon = position.indexOf(":", slash);
  const end = colon < 0 ? position.length : colon;
  return [position.slice(0, slash), position.slice(slash + 1, end), position.slice(end + 1)];
}

const ordParts: Ord<readonly [string, string, string]> = fromCompare((a, b) => {
  const high = compareDigits(a[0], b[0]);
  if (high !== 0) return high;
  const low = compareDigits(a[1], b[1]);
  return low !== 0 ? low : compareDigits(a[2], b[2]);
});

/** The order of the write-ahead log; a commit's own LSN comes before its numbered changes. */
export const ordLsn: Ord<Lsn> = contramap(split)(ordParts);
