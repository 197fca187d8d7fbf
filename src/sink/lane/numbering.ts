import { type RxaddError, rxaddError } from "../../errors/rxaddError.ts";
import type { Positions } from "../../event/positions.ts";
import type { BatchNumber } from "../../redis/publish/protocol.ts";
import type { NumberedBatch } from "../../redis/publish/publishPort.ts";
import { positionText } from "../../telemetry/positionText.ts";
import { type Batch, type Entry, isWritten } from "../encode/entry.ts";
import { ReplayFilter } from "./replayFilter.ts";
import type { Replayed } from "./replayReport.ts";
import { aheadOf, type LaneStand, standing } from "./stand.ts";

/** What of a batch is published, and under which number. */
export interface SentBatch<P> {
  /** Those of which something is written. */
  readonly entries: Batch<P>;
  readonly sequence: number;
}

/** A batch with its number. */
export interface Numbered<P> extends SentBatch<P> {
  /** What is sent of it; undefined: all of it was there already. */
  readonly sent: NumberedBatch | undefined;
  /** How many of its events were there already. */
  readonly replayed: number;
  /** What the lane's producer state holds with it. */
  readonly stand: LaneStand;
}

export interface NumberingOptions<P> {
  readonly positions: Positions<P>;
  /** Told of each batch before it is sent for the first time. */
  readonly sending?: ((batch: Batch<P>, sent: SentBatch<P>) => void) | undefined;
  /** Told of each batch what of it is left out, being in the stream already. */
  readonly replayed?: ((replayed: Replayed<P>) => void) | undefined;
}

/**
 * Makes the function that numbers the batches of a lane in the order in which they come, and leaves out events that are
 * in the stream already. The same batch gets the same number each time that it is asked for.
 *
 * @param key - where the producer state stands, for messages
 * @param newest - who writes, and the newest batch that is there
 * @param stored - the position of the stand, decoded
 */
export function numbering<P>(
  { positions, sending, replayed: told }: NumberingOptions<P>,
  key: string,
  { owner, epoch, sequence }: BatchNumber,
  stand: LaneStand,
  stored: P | undefined,
): (batch: Batch<P>) => Numbered<P> {
  const numbered = new WeakMap<Batch<P>, Numbered<P>>();
  const standsAt = standing(positions, key, stand, stored);
  const filter = new ReplayFilter(positions, stored, aheadOf(stand.ahead));
  let newest: EventName | undefined;
  let number = sequence;

  /** What of a batch is not in the stream. */
  function unknownOf(batch: Batch<P>) {
    const fresh: Entry<P>[] = [];
    let replayed = 0;
    let behind: Entry<P> | undefined;
    let upTo: P | undefined;
    for (const entry of batch) {
      const verdict = filter.verdictOf(entry);
      if (verdict === "clash") throw clash(newest, entry);
      if (verdict === "new") {
        fresh.push(entry);
        newest = entry;
      } else if (isWritten(entry)) {
        replayed += 1;
        upTo = entry.position;
        if (verdict === "behind") behind ??= entry;
      }
    }
    filter.rest();
    newest &&= { id: newest.id, ordinal: newest.ordinal };
    told?.({ events: replayed, behind, position: upTo });
    return { fresh, replayed };
  }

  return (batch) => {
    const known = numbered.get(batch);
    if (known !== undefined) return known;
    const { fresh, replayed } = unknownOf(batch);
    if (fresh.length > 0) number += 1;
    standsAt.moveTo(fresh);
    const now = standsAt.now();
    const entries = fresh.every(isWritten) ? fresh : fresh.filter(isWritten);
    const sent = fresh.length === 0 ? undefined : { owner, epoch, sequence: number, ...now, entries };
    const next = { sent, entries, sequence: number, replayed, stand: now };
    numbered.set(batch, next);
    if (sent !== undefined) sending?.(batch, next);
    return next;
  };
}

/** What tells an event in a message. */
type EventName = Pick<Entry<unknown>, "id" | "ordinal">;

/** After a crash between two events at one position nobody could tell whether the second one is there. */
function clash<P>(one: EventName | undefined, other: Entry<P>): RxaddError {
  const names = [one, other].map((entry) => entry?.id ?? entry?.ordinal ?? "before").join(" and ");
  return rxaddError(
    "PositionInvalid",
    `events ${names}: found the same position ${positionText(other.position)} on both, expected increasing positions; only events of one transaction may share one`,
  );
}
