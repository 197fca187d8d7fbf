import { contramap, fromCompare, type Ord, tuple } from "fp-ts/lib/Ord.js";

const ordBigint: Ord<bigint> = fromCompare((a, b) => (a < b ? -1 : a > b ? 1 : 0));

/** Entry IDs in the order of the stream: by milliseconds, then by number. */
export const ordEntryId: Ord<string> = contramap((entryId: string): readonly [bigint, bigint] => {
  const [ms = "0", number = "0"] = entryId.split("-");
  return [BigInt(ms), BigInt(number)];
})(tuple(ordBigint, ordBigint));

/** The greatest ID before one that an entry has. */
export function entryIdBefore(entryId: string): string {
  const [ms = 0n, number = 0n] = entryId.split("-").map(BigInt);
  if (number > 0n) return `${ms}-${number - 1n}`;
  return ms > 0n ? `${ms - 1n}-18446744073709551615` : "0-0";
}

/** Whether no entry can stand between two IDs, of which the second one is greater. */
export function areNeighbours(entryId: string, next: string): boolean {
  return ordEntryId.equals(entryIdBefore(next), entryId);
}

const largestPart = 2n ** 64n - 1n;

/** Whether a text is an entry ID; without the second part it is the first one of its millisecond. */
export function isEntryId(text: string): boolean {
  return /^\d{1,20}(-\d{1,20})?$/.test(text) && text.split("-").every((part) => BigInt(part) <= largestPart);
}
