import { isLeft } from "fp-ts/lib/Either.js";
import type { Ord } from "fp-ts/lib/Ord.js";
import type { Type } from "io-ts";
import { type RxaddError, rxaddError } from "../errors/rxaddError.ts";
import { kindOf, messageOf } from "../errors/thrown.ts";
import { isLsn, ordLsn, shownPosition } from "./lsn.ts";

/**
 * How a source's positions are stored in Redis, and in which order they stand.
 *
 * With an order, a sink drops events that are already in the stream. Without one the source itself
 * must go on strictly after the position that it is given.
 */
export interface Positions<P> {
  readonly encode: (position: P) => string;
  /** The inverse of `encode`; undefined if the text is not one of its results. */
  readonly decode: (text: string) => P | undefined;
  /** Less than, equal to or greater than 0, as `a` stands before, at or after `b`; undefined: they have no order. Default: none has one. */
  readonly compare?: (a: P, b: P) => number | undefined;
}

/** Whether positions like this one have an order. */
export function hasOrder<P>(positions: Positions<P>, position: P): boolean {
  return positions.compare?.(position, position) !== undefined;
}

/** The positions that need no description: numbers, bigints, strings, and times to the ms. */
export type StandardPosition = number | bigint | string | Date;

/** The same position, which nobody else can change: of all that positions are, a Date alone can be set anew. */
export function ownPosition<P>(position: P): P {
  const isTime = position instanceof Date && Object.getPrototypeOf(position) === Date.prototype;
  return isTime ? (new Date(position) as P & Date) : position;
}

function compareStandard(a: StandardPosition, b: StandardPosition): number | undefined {
  if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === "bigint" && typeof b === "bigint") return a < b ? -1 : a > b ? 1 : 0;
  if (a instanceof Date && b instanceof Date) return a.getTime() - b.getTime();
  // The other one first: it is the one that came before, which is known already.
  const isOther = typeof b === "string" && isLsn(b);
  if (typeof a === "string" && !isLsn(a)) return undefined;
  if (typeof a === "string" && isOther) return ordLsn.compare(a, b);
  throw invalid(
    `positions ${shownPosition(String(a))} and ${shownPosition(String(b))} are of different kinds: one sink id serves one source`,
  );
}

/** Whether a text is a date as `toISOString` writes it. */
function isTime(text: string): boolean {
  return /^[-+\d]+-\d\d-\d\dT[\d:.]+Z$/.test(text) && !Number.isNaN(Date.parse(text));
}

/**
 * Numbers, bigints, LSNs and dates, each with its order, and any other string, without one. Those of different kinds are
 * `PositionInvalid` where they are compared.
 *
 * In Redis a number reads `42`, a bigint `42n`, an LSN `16/B374D848:3`, a date `2026-11-24T10:00:00.123Z`; another string is
 * quoted as in JSON.
 */
export const standardPositions: Positions<StandardPosition> = {
  encode: (position) => {
    if (typeof position === "number") return `${position}`;
    if (typeof position === "bigint") return `${position}n`;
    if (position instanceof Date) return position.toISOString();
    return isLsn(position) ? position : JSON.stringify(position);
  },
  decode: (text) => {
    if (/^-?\d+n$/.test(text)) return BigInt(text.slice(0, -1));
    if (isLsn(text)) return text;
    if (isTime(text)) return new Date(text);
    try {
      const value: unknown = JSON.parse(text);
      return typeof value === "number" || typeof value === "string" ? value : undefined;
    } catch {
      return undefined;
    }
  },
  compare: compareStandard,
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
  return {
    encode: codec.encode,
    decode: (text) => {
      const decoded = codec.decode(text);
      return isLeft(decoded) ? undefined : decoded.right;
    },
    compare: (a, b) => ord?.compare(a, b),
  };
}

/**
 * Positions of one log, which is named beside each of them in Redis: those of another log are refused with
 * `PositionInvalid` at every start, and not taken for events that are there already. For a source whose positions begin again
 * when its log is made anew, or that reads a share of the events, which may be dealt anew.
 *
 * @param log - tells the log from every other one, such as when it was made, or which share is read
 *
 * @example
 * ```ts
 * redisSink<Message, number>({ id, uri, stream, positions: positionsIn(`ORDERS, made ${created}`) });
 * ```
 */
export function positionsIn<P = StandardPosition>(
  log: string,
  // Without `positions`, P is a standard position.
  positions: Positions<P> = standardPositions as unknown as Positions<P>,
): Positions<P> {
  const start = `${JSON.stringify(log)} `;
  return {
    encode: (position) => `${start}${positions.encode(position)}`,
    decode: (text) => (text.startsWith(start) ? positions.decode(text.slice(start.length)) : undefined),
    compare: (a, b) => positions.compare?.(a, b),
  };
}

/** Positions as a sink uses them: what cannot be read back at the next start is refused at once. */
export interface StorablePositions<P> extends Positions<P> {
  /** Throws unless it can be stored; cheap enough for every event, as it takes the trouble for the first one only. */
  readonly check: (position: P) => void;
}

/**
 * Checks what positions give back: each that is stored, and the first of all. All that they throw is
 * `PositionInvalid`.
 *
 * @param positions - undefined: the standard ones
 */
export function storable<P>(positions: Positions<P> | undefined): StorablePositions<P> {
  return positions === undefined || positions === (standardPositions as unknown)
    ? // Without `positions`, P is a standard position: PositionOf says so for every ChangeEvent.
      (storableStandard as unknown as StorablePositions<P>)
    : storableCustom(positions);
}

function invalid(reason: string, cause?: unknown): RxaddError {
  return rxaddError("PositionInvalid", reason, cause);
}

function failed(name: keyof Positions<unknown>, error: unknown): RxaddError {
  return invalid(`positions: ${name} failed: ${messageOf(error)}`, error);
}

function checkStandard(position: StandardPosition): void {
  if (typeof position === "number" ? Number.isFinite(position) : isOther(position)) return;
  throw invalid(
    `found ${kindOf(position)}, expected a finite number, a bigint, text or a valid Date; others need the option positions`,
  );
}

function isOther(position: unknown): boolean {
  if (typeof position === "string" || typeof position === "bigint") return true;
  return position instanceof Date && !Number.isNaN(position.getTime());
}

const storableStandard: StorablePositions<StandardPosition> = {
  ...standardPositions,
  check: checkStandard,
  encode: (position) => {
    checkStandard(position);
    return standardPositions.encode(position);
  },
};

function storableCustom<P>(positions: Positions<P>): StorablePositions<P> {
  let hasEncoded = false;

  /** The user's function; what it throws is an error of positions. */
  function asked<A>(name: "encode" | "decode", ask: () => A): A {
    try {
      return ask();
    } catch (error) {
      throw failed(name, error);
    }
  }

  /** Asked for each event, hence without a function made for it. */
  function compare(a: P, b: P): number | undefined {
    let order: unknown;
    try {
      order = positions.compare?.(a, b);
    } catch (error) {
      throw failed("compare", error);
    }
    if (order === undefined || (typeof order === "number" && !Number.isNaN(order))) return order;
    throw invalid(`positions: compare gave ${kindOf(order)}, expected a number, or undefined: no order`);
  }

  /** `null`, like undefined, is no position. */
  function decode(text: string): P | undefined {
    return asked("decode", () => positions.decode(text)) ?? undefined;
  }

  function encode(position: P): string {
    const text: unknown = asked("encode", () => positions.encode(position));
    if (typeof text !== "string" || text === "") {
      throw invalid(`positions: encode gave ${kindOf(text)}, expected text that decode reads back`);
    }
    const back = decode(text);
    if (back === undefined || !isSame(position, back, text)) {
      throw invalid(
        `positions: encode gave ${JSON.stringify(text)}, of which decode does not make the same position: the next start could not go on after it`,
      );
    }
    hasEncoded = true;
    return text;
  }

  function isSame(position: P, back: P, text: string): boolean {
    const order = compare(position, back);
    return order === undefined ? asked("encode", () => positions.encode(back)) === text : order === 0;
  }

  return {
    encode,
    compare,
    decode,
    check: (position) => {
      if (!hasEncoded) encode(position);
    },
  };
}
