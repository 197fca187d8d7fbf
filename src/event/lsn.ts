import { fromCompare, type Ord } from "fp-ts/lib/Ord.js";
import type { Ordering } from "fp-ts/lib/Ordering.js";

declare const lsn: unique symbol;

/**
 * Where a change stands in PostgreSQL's write-ahead log: the LSN of its transaction's commit and,
 * after a colon, its number within the transaction, from 1: `16/B374D848:3`. Upper-case hexadecimal
 * without leading zeros, so that equal positions are equal strings. While a snapshot is read, how far it has come follows
 * after an `@`, which says nothing of the order: `16/B374D848:3@public.orders(5f3a9c1e)/42`.
 */
export type Lsn = string & { readonly [lsn]: true };

const pattern =
  /^(?:0|[1-9A-F][0-9A-F]{0,7})\/(?:0|[1-9A-F][0-9A-F]{0,7})(?::[1-9][0-9]*)?(?:@[\w%*'()/?!~.-]+)*$/;

/** Each is asked of twice as the next one is compared with it. */
let newest = "";

/** Whether a string is an {@link Lsn} in its canonical form. */
export function isLsn(text: string): text is Lsn {
  if (text === newest && text !== "") return true;
  const isOne = pattern.test(text);
  if (isOne) newest = text;
  return isOne;
}

/** Numbers without leading zeros compare by length, then by digits. */
function compareDigits(a: string, b: string): Ordering {
  if (a.length !== b.length) return a.length < b.length ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1;
}

/** Where its place in the log ends, behind which may stand how far a snapshot has come. */
function placeEnd(lsn: string): number {
  const at = lsn.indexOf("@");
  return at < 0 ? lsn.length : at;
}

/** Its place in the log, without how far a snapshot has come. */
export function placeOf(lsn: string): string {
  return lsn.slice(0, placeEnd(lsn));
}

/** A position as errors and logs show it: how far a snapshot has come is told by the keys of rows, which are no matter of theirs. */
export function shownPosition(text: string): string {
  return isLsn(text) ? placeOf(text) : text;
}

/** The two halves of its place in the log, and its number in the transaction, empty without one. */
export function lsnParts(lsn: string): readonly [high: string, low: string, number: string] {
  const place = placeOf(lsn);
  const slash = place.indexOf("/");
  const colon = place.indexOf(":", slash);
  const end = colon < 0 ? place.length : colon;
  return [place.slice(0, slash), place.slice(slash + 1, end), place.slice(end + 1)];
}

/** The order of the write-ahead log; a commit's own LSN comes before its numbered changes. */
export const ordLsn: Ord<Lsn> = fromCompare((one, other) => {
  const end = placeEnd(one);
  // With as many digits in each part they compare as texts do; mostly the last one tells whether they are the same.
  if (
    end === placeEnd(other) &&
    one.indexOf("/") === other.indexOf("/") &&
    one.indexOf(":") === other.indexOf(":")
  ) {
    if (one.charCodeAt(end - 1) === other.charCodeAt(end - 1) && placeOf(one) === placeOf(other)) return 0;
    return one < other ? -1 : 1;
  }
  const [high, low, number] = lsnParts(one);
  const [otherHigh, otherLow, otherNumber] = lsnParts(other);
  return compareDigits(high, otherHigh) || compareDigits(low, otherLow) || compareDigits(number, otherNumber);
});
