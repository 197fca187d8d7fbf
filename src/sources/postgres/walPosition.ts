import { type Lsn, lsnParts } from "../../event/lsn.ts";

/** A place in the write-ahead log as a number; PostgreSQL writes it as two 32-bit halves. */
export function walNumber(lsn: string): bigint {
  const [high, low] = lsnParts(lsn);
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** The position of a place in the log: after every change that was committed before it. */
export function placePosition(place: bigint): Lsn {
  return `${(place >> 32n).toString(16)}/${(place & 0xffff_ffffn).toString(16)}`.toUpperCase() as Lsn;
}
