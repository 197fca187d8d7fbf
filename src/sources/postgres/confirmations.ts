import type { Subject } from "rxjs";
import { type Lsn, ordLsn } from "../../event/lsn.ts";
import { placePosition, walNumber } from "./walPosition.ts";

/** Which part of the write-ahead log the server may forget: never more than what was acknowledged. */
export interface Confirmations {
  /** Reading begins after a position: everything up to there is safe, and what was safe beyond it no longer is. */
  readonly begin: (from: Lsn | undefined) => void;
  /** A connection is there, whose server has sent everything before this place; what another one has said counts no more. */
  readonly connected: (place: bigint) => void;
  /** A change has been received. */
  readonly received: (position: Lsn) => void;
  /** The server has sent everything before this place. */
  readonly idle: (place: bigint) => void;
  /** Tells the place that the server has come to, if everything before it is acknowledged. */
  readonly pass: () => void;
  /** Everything up to here is safe; returns whether that is news. */
  readonly acknowledge: (position: Lsn) => boolean;
  /** After what to go on when the connection is lost. */
  readonly last: () => Lsn | undefined;
  /** Up to where the log is dispensable. */
  readonly confirmed: () => bigint;
}

/** What {@link confirmations} goes by. */
export interface ConfirmationsOptions {
  /** Told of places that are passed without a change. Unless somebody listens, nobody keeps them. */
  readonly passed: Subject<Lsn>;
  /** Whether the slot may go beyond what was acknowledged, since no position will be compared with it. */
  readonly isOnlyMark: boolean;
  /** What follows the place in a position: how far a snapshot is. */
  readonly reads?: () => string;
  /** Told once of so many changes that nobody has acknowledged, nor seems to: who made another source of this one has forgotten it. */
  readonly unheard?: (changes: number) => void;
}

/** So many changes are a sign. */
const manyUnheard = 10_000;

/**
 * Follows what was received, passed and acknowledged, over all connections.
 *
 * A position is kept by the sink before it is confirmed here. So at each start the slot stands at or before the sink's
 * position, or the sink has lost something. What is confirmed is the place where the acknowledged change's transaction
 * was committed, not where its commit record ends: the position tells the one, and not the other.
 */
export function confirmations({
  passed,
  isOnlyMark,
  reads = () => "",
  unheard,
}: ConfirmationsOptions): Confirmations {
  let last: Lsn | undefined;
  let acknowledged: Lsn | undefined;
  let isKept = false;
  let changes = 0;
  let idleAt = 0n;
  let confirmed = 0n;

  function isOutstanding(): boolean {
    return last !== undefined && (acknowledged === undefined || ordLsn.compare(last, acknowledged) > 0);
  }

  function pass(): void {
    if (idleAt === 0n || isOutstanding()) return;
    const place = `${placePosition(idleAt)}${reads()}` as Lsn;
    if (last !== undefined && ordLsn.compare(place, last) <= 0) return;
    if (passed.observed) {
      last = place;
      passed.next(place);
    } else if (isOnlyMark || !isKept) {
      last = place;
      acknowledged = last;
      confirmed = idleAt;
    }
  }

  return {
    begin: (from) => {
      last = from;
      acknowledged = from;
    },
    connected: (place) => {
      idleAt = place;
      pass();
    },
    received: (position) => {
      last = position;
      changes += 1;
      if (changes === manyUnheard && !isKept && !isOnlyMark && !passed.observed) unheard?.(changes);
    },
    idle: (place) => {
      if (place > idleAt) idleAt = place;
      if (!passed.observed) pass();
    },
    pass,
    acknowledge: (position) => {
      isKept = true;
      if (acknowledged !== undefined && ordLsn.compare(position, acknowledged) <= 0) return false;
      acknowledged = position;
      const place = walNumber(position);
      if (place > confirmed) confirmed = place;
      return true;
    },
    last: () => last,
    confirmed: () => confirmed,
  };
}
