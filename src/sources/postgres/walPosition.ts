import { isLsn, type Lsn, lsnParts } from "../../event/lsn.ts";

/** A place in the write-ahead log as a number; PostgreSQL writes it as two 32-bit halves. */
export function walNumber(lsn: string): bigint {
  const [high, low] = lsnParts(lsn);
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** The canonical text of a place in the write-ahead log. */
export function walText(place: bigint): string {
  return `${(place >> 32n).toString(16)}/${(place & 0xffff_ffffn).toString(16)}`.toUpperCase();
}

/** The position of a transaction's change: the LSN of its commit and its number, from 1. */
export function changePosition(commit: bigint, number: number): Lsn {
  return asLsn(`${walText(commit)}:${number}`);
}

/** The position of a place in the log: after every change that was committed before it. */
export function placePosition(place: bigint): Lsn {
  return asLsn(walText(place));
}

function asLsn(position: string): Lsn {
  if (!isLsn(position)) throw new TypeError(`${position} is not a position`);
  return position;
}
