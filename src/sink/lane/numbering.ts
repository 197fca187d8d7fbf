import { type RxaddError, rxaddError } from "../../errors/rxaddError.ts";
import type { Positions } from "../../event/positions.ts";
import type { BatchNumber } from "../../redis/publish/protocol.ts";
import type { LaneKeys, NumberedBatch } from "../../redis/publish/publishPort.ts";
import { positionText } from "../../telemetry/positionText.ts";
import { type Batch, type Entry, isWritten } from "../encode/entry.ts";
import { ReplayFilter } from "./replayFilter.ts";
import type { Replayed } from "./replayReport.ts";
import { aheadOf, type LaneStand, type Standing, standing } from "./stand.ts";

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
 * Numbers the batches of a lane in the order in which they come, and leaves out events that are
 * in the stream already. The same batch gets the same number each time that it is asked for.
 */
export class Numbering<P> {
  readonly #options: NumberingOptions<P>;
  readonly #keys: LaneKeys;
  readonly #name: Pick<BatchNumber, "owner" | "epoch">;
  readonly #numbered = new WeakMap<Batch<P>, Numbered<P>>();
  readonly #standsAt: Standing<P>;
  readonly #filter: ReplayFilter<P>;
  #newest: EventName | undefined;
  #number: number;
  #isPlaced = false;

  /**
   * @param keys - where the producer state stands
   * @param number - who writes, and the newest batch that is there
   * @param stored - the position of the stand, decoded
   */
  constructor(
    options: NumberingOptions<P>,
    keys: LaneKeys,
    { owner, epoch, sequence }: BatchNumber,
    stand: LaneStand,
    stored: P | undefined,
  ) {
    const { positions } = options;
    this.#options = options;
    this.#keys = keys;
    this.#name = { owner, epoch };
    this.#number = sequence;
    this.#standsAt = standing(positions, keys.state, stand, stored);
    this.#filter = new ReplayFilter(positions, stored, aheadOf(stand.ahead));
  }

  /** Whether an event has had a position. */
  get isPlaced(): boolean {
    return this.#isPlaced;
  }

  /** Undefined: it has no number yet. */
  find(batch: Batch<P>): Numbered<P> | undefined {
    return this.#numbered.get(batch);
  }

  /** Throws PositionInvalid for a batch with an event that cannot have the position it has. */
  of(batch: Batch<P>): Numbered<P> {
    const known = this.#numbered.get(batch);
    if (known !== undefined) return known;
    const { fresh, replayed } = this.#unknownOf(batch);
    if (fresh.length > 0) this.#number += 1;
    this.#standsAt.moveTo(fresh);
    const now = this.#standsAt.now();
    const entries = fresh.every(isWritten) ? fresh : fresh.filter(isWritten);
    const sequence = this.#number;
    const sent = fresh.length === 0 ? undefined : { ...this.#name, sequence, ...now, entries };
    const next = { sent, entries, sequence, replayed, stand: now };
    this.#numbered.set(batch, next);
    if (sent !== undefined) this.#options.sending?.(batch, next);
    return next;
  }

  /** What of a batch is not in the stream. */
  #unknownOf(batch: Batch<P>) {
    const fresh: Entry<P>[] = [];
    let replayed = 0;
    let behind: Entry<P> | undefined;
    let upTo: P | undefined;
    for (const entry of batch) {
      if (entry.position !== undefined) this.#placed(entry);
      const verdict = this.#filter.verdictOf(entry);
      if (verdict === "clash") throw clash(this.#newest, entry);
      if (verdict === "new") {
        fresh.push(entry);
        this.#newest = entry;
      } else if (isWritten(entry)) {
        replayed += 1;
        upTo = entry.position;
        if (verdict === "behind") behind ??= entry;
      }
    }
    this.#filter.rest();
    this.#newest &&= { id: this.#newest.id, ordinal: this.#newest.ordinal };
    this.#options.replayed?.({ events: replayed, behind, position: upTo });
    return { fresh, replayed };
  }

  #placed(entry: Entry<P>): void {
    if (this.#keys.expiresMs !== undefined) throw placedAmongMany(entry);
    this.#isPlaced = true;
  }
}

/** What tells an event in a message. */
type EventName = Pick<Entry<unknown>, "id" | "ordinal">;

/** What one of many writers publishes has no place in a source: nobody would know it again after a restart. */
function placedAmongMany<P>({ id, ordinal, position }: Entry<P>): RxaddError {
  return rxaddError(
    "PositionInvalid",
    `event ${id ?? ordinal}: found position ${positionText(position)}, expected none: this sink is one of many writers, as writers: "many" or buffer.overflow says, or its first event without a position; set writers: "one", which needs one writer per sink id, or event: { position: () => undefined }`,
  );
}

/** After a crash between two events at one position nobody could tell whether the second one is there. */
function clash<P>(one: EventName | undefined, other: Entry<P>): RxaddError {
  const names = [one, other].map((entry) => entry?.id ?? entry?.ordinal ?? "before").join(" and ");
  return rxaddError(
    "PositionInvalid",
    `events ${names}: found the same position ${positionText(other.position)} on both, expected increasing positions; only events of one transaction may share one`,
  );
}
