import { isLeft } from "fp-ts/lib/Either.js";
import { Ord as ordNumber } from "fp-ts/lib/number.js";
import { none, type Option, some } from "fp-ts/lib/Option.js";
import { fromCompare, type Ord } from "fp-ts/lib/Ord.js";
import type { Type } from "io-ts";
import { isLsn, ordLsn } from "./lsn.ts";

/**
 * How a source's positions are stored in Redis, and in which order they stand.
 *
 * With an order, a sink drops events that are already in the stream. Without one the source itself
 * must go on strictly after the position that it is given.
 */
export interface Positions<P> {
  readonly encode: (position: P) => string;
  /** The inverse of `encode`; none if the text is not one of its results. */
  readonly decode: (text: string) => Option<P>;
  /** The order of positions like this one; none where they have none. */
  readonly orderOf: (sample: P) => Option<Ord<P>>;
}

/** The positions that need no description: numbers, bigints and strings. */
export type StandardPosition = number | bigint | string;

const ordBigint: Ord<bigint> = fromCompare((a, b) => (a < b ? -1 : a > b ? 1 : 0));

/** An order over all standard positions that only ever sees those of one kind. */
function among<A extends StandardPosition>(
  isKind: (position: StandardPosition) => position is A,
  ord: Ord<A>,
): Option<Ord<StandardPosition>> {
  return some(
    fromCompare((a, b) => {
      if (!isKind(a) || !isKind(b)) {
        throw new TypeError(`positions ${a} and ${b} are of different kinds: one sink id serves one source`);
      }
      return ord.compare(a, b);
    }),
  );
}

const numbers = among((position) => typeof position === "number", ordNumber);
const bigints = among((position) => typeof position === "bigint", ordBigint);
const lsns = among((position) => typeof position === "string" && isLsn(position), ordLsn);

/**
 * Numbers, bigints and LSNs, each with its order, and any other string, without one.
 *
 * In Redis a number reads `42`, a bigint `42n`, an LSN `16/B374D848:3`, another string is quoted as in JSON.
 */
export const standardPositions: Positions<StandardPosition> = {
  encode: (position) => {
    if (typeof position === "number") return `${position}`;
    if (typeof position === "bigint") return `${position}n`;
    return isLsn(position) ? position : JSON.stringify(position);
  },
  decode: (text) => {
    if (/^-?\d+n$/.test(text)) return some(BigInt(text.slice(0, -1)));
    if (isLsn(text)) return some(text);
    try {
      const value: unknown = JSON.parse(text);
      return typeof value === "number" || typeof value === "string" ? some(value) : none;
    } catch {
      return none;
    }
  },
  orderOf: (sample) => {
    if (typeof sample === "number") return numbers;
    if (typeof sample === "bigint") return bigints;
    return isLsn(sample) ? lsns : none;
  },
};

/**
 * Positions of the user's own type, described by an io-ts codec to and from text, and an order if
 * they have one.
 *
 * @example
 * ```ts
 * const tokens = positionsOf(ResumeToken);
 * const offsets = positionsOf(Offset, contramap((offset: Offset) => offset.value)(ordNumber));
 * ```
 */
export function positionsOf<P>(codec: Type<P, string>, ord?: Ord<P>): Positions<P> {
  const order = ord === undefined ? none : some(ord);
  return {
    encode: codec.encode,
    decode: (text) => {
      const decoded = codec.decode(text);
      return isLeft(decoded) ? none : some(decoded.right);
    },
    orderOf: () => order,
  };
}
