import { isNone, none, type Option, toUndefined } from "fp-ts/lib/Option.js";
import { rxaddError } from "../../errors/rxaddError.ts";
import type { Positions } from "../../event/positions.ts";
import type { NumberedBatch } from "../../redis/publish/publishPort.ts";
import type { Batch, Entry } from "../encode/entry.ts";
import { order } from "../encode/safePosition.ts";
import type { Ahead } from "./replay.ts";

/** Where a lane stands, as its producer state says. */
export type LaneStand = Pick<NumberedBatch, "position" | "ahead">;

/** Of a lane that has nothing. */
export const nowhere: LaneStand = { position: "", ahead: "" };

/** Reads the field `ahead` of a producer state. */
export function aheadOf(text: string): Ahead | undefined {
  const [, events, position] = /^(\d+) (.*)$/s.exec(text) ?? [];
  return events === undefined || position === undefined ? undefined : { events: Number(events), position };
}

/** Reads a position that stands under a key; none where it is empty. */
export function storedPosition<P>(positions: Positions<P>, key: string, text: string): Option<P> {
  const position = text === "" ? none : positions.decode(text);
  if (text === "" || !isNone(position)) return position;
  throw rxaddError(
    "PositionInvalid",
    `${key}: found position ${text}, expected one of this source: give each source a sink id of its own`,
  );
}

/**
 * Where a lane stands as batches go by: up to which position every event is there, and how many events of the position
 * after it. Events without a position change nothing of it.
 */
export class Standing<P> {
  readonly #positions: Positions<P>;
  readonly #key: string;
  #reached: P | undefined;
  #position: string;
  #ahead: Ahead | undefined;

  /**
   * @param key - where the producer state stands, for messages
   * @param reached - the position that it says, decoded
   */
  constructor(positions: Positions<P>, key: string, { position, ahead }: LaneStand, reached: P | undefined) {
    this.#positions = positions;
    this.#key = key;
    this.#reached = reached;
    this.#position = position;
    this.#ahead = aheadOf(ahead);
  }

  /** As the producer state says it. */
  get now(): LaneStand {
    const ahead = this.#ahead;
    return {
      position: this.#position,
      ahead: ahead === undefined ? "" : `${ahead.events} ${ahead.position}`,
    };
  }

  /** Moves on to the end of what is new of a batch, but not beyond what is whole. */
  moveTo(fresh: Batch<P>): void {
    const last = fresh.findLast(isPlaced);
    if (last?.position === undefined) return;
    const here = last.position;
    this.#leaveAhead(fresh.find(isPlaced)?.position);
    this.#wholeUpTo(last.safe);
    this.#ahead =
      last.safe !== undefined && order(this.#positions, here, last.safe) === 0
        ? undefined
        : this.#aheadAt(here, fresh);
  }

  /** Where another position comes, no more comes of the one that stood ahead: the source may have begun after it. */
  #leaveAhead(next: P | undefined): void {
    const ahead = this.#ahead?.position;
    if (ahead !== undefined && next !== undefined && this.#positions.encode(next) !== ahead)
      this.#wholeUpTo(toUndefined(storedPosition(this.#positions, this.#key, ahead)));
  }

  #wholeUpTo(safe: P | undefined): void {
    const reached = this.#reached;
    if (safe === undefined || (reached !== undefined && order(this.#positions, safe, reached) <= 0)) return;
    this.#reached = safe;
    this.#position = this.#positions.encode(safe);
  }

  /** How many events at the last position of a batch are there with it. */
  #aheadAt(here: P, fresh: Batch<P>): Ahead {
    const isBefore = ({ position }: Entry<P>) =>
      position !== undefined && order(this.#positions, position, here) !== 0;
    const before = fresh.findLastIndex(isBefore);
    const position = this.#positions.encode(here);
    const earlier = before < 0 && this.#ahead?.position === position ? this.#ahead.events : 0;
    return { position, events: fresh.slice(before + 1).filter(isPlaced).length + earlier };
  }
}

function isPlaced<P>({ position }: Entry<P>): boolean {
  return position !== undefined;
}
