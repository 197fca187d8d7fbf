import { rxaddError } from "../../errors/rxaddError.ts";
import type { Positions } from "../../event/positions.ts";
import type { NumberedBatch } from "../../redis/publish/publishPort.ts";
import type { Batch, Entry } from "../encode/entry.ts";
import { order } from "../encode/safePosition.ts";

/** Where a lane stands, as its producer state says. */
export type LaneStand = Pick<NumberedBatch, "position" | "ahead">;

/** Of a lane that has nothing. */
export const nowhere: LaneStand = { position: "", ahead: "" };

/** So many events at one position are there, the position in the text of the producer state. */
export interface Ahead {
  readonly events: number;
  readonly position: string;
}

/** Reads the field `ahead` of a producer state. */
export function aheadOf(text: string): Ahead | undefined {
  const [, events, position] = /^(\d+) (.*)$/s.exec(text) ?? [];
  return events === undefined || position === undefined ? undefined : { events: Number(events), position };
}

/** Reads a position that stands under a key; undefined where it is empty. */
export function storedPosition<P>(positions: Positions<P>, key: string, text: string): P | undefined {
  if (text === "") return undefined;
  const position = positions.decode(text);
  if (position !== undefined) return position;
  throw rxaddError(
    "PositionInvalid",
    `${key}: found position ${text}, expected one of this source: give each source a sink id of its own`,
  );
}

/** Where a lane stands as batches go by. */
export interface Standing<P> {
  /** As the producer state says it. */
  readonly now: () => LaneStand;
  /** Moves on to the end of what is new of a batch, but not beyond what is whole. Events without a position change nothing of it. */
  readonly moveTo: (fresh: Batch<P>) => void;
}

/**
 * Begins where a lane is opened.
 *
 * @param key - where the producer state stands, for messages
 * @param stored - the position of the stand, decoded
 */
export function standing<P>(
  positions: Positions<P>,
  key: string,
  stand: LaneStand,
  stored: P | undefined,
): Standing<P> {
  let reached = stored;
  let { position } = stand;
  let ahead = aheadOf(stand.ahead);

  function wholeUpTo(safe: P | undefined): void {
    if (safe === undefined || (reached !== undefined && order(positions, safe, reached) <= 0)) return;
    reached = safe;
    position = positions.encode(reached);
  }

  return {
    now: () => ({ position, ahead: ahead === undefined ? "" : `${ahead.events} ${ahead.position}` }),
    moveTo: (fresh) => {
      const last = fresh.findLast(isPlaced);
      if (last?.position === undefined) return;
      const here = last.position;
      const first = fresh.find(isPlaced)?.position;
      // Where another position comes, no more comes of the one that stood ahead: the source may have begun after it.
      if (ahead !== undefined && first !== undefined && positions.encode(first) !== ahead.position)
        wholeUpTo(storedPosition(positions, key, ahead.position));
      wholeUpTo(last.safe);
      if (last.safe !== undefined && order(positions, here, last.safe) === 0) {
        ahead = undefined;
        return;
      }
      const isBefore = ({ position }: Entry<P>) =>
        position !== undefined && order(positions, position, here) !== 0;
      const before = fresh.findLastIndex(isBefore);
      const text = positions.encode(here);
      const earlier = before < 0 && ahead?.position === text ? ahead.events : 0;
      const events = fresh.slice(before + 1).filter(isPlaced).length;
      ahead = { position: text, events: events + earlier };
    },
  };
}

function isPlaced<P>({ position }: Entry<P>): boolean {
  return position !== undefined;
}
