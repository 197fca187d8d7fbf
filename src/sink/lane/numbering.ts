import { type RxaddError, rxaddError } from "../../errors/rxaddError.ts";
import type { Positions } from "../../event/positions.ts";
import type { BatchNumber } from "../../redis/publish/protocol.ts";
import type { EntryContent, NumberedBatch } from "../../redis/publish/publishPort.ts";
import { positionText } from "../../telemetry/positionText.ts";
import type { Batch, Entry } from "../encode/entry.ts";
import { type Replay, replay } from "./replay.ts";
import type { Replayed } from "./replayReport.ts";
import { aheadOf, type LaneStand, Standing } from "./stand.ts";

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

/** Numbers the batches of a lane in the order in which they come, and leaves out events that are in the stream already. */
export class Numbering<P> {
  readonly #options: NumberingOptions<P>;
  readonly #numbered = new WeakMap<Batch<P>, Numbered<P>>();
  readonly #standing: Standing<P>;
  readonly #replayOf: (entry: Entry<P>) => Replay;
  readonly #writer: Pick<BatchNumber, "owner" | "epoch">;
  #sequence: number;
  #newest: Entry<P> | undefined;

  /**
   * @param key - where the producer state stands, for messages
   * @param newest - who writes, and the newest batch that is there
   * @param stored - the position of the stand, decoded
   */
  constructor(
    options: NumberingOptions<P>,
    key: string,
    { owner, epoch, sequence }: BatchNumber,
    stand: LaneStand,
    stored: P | undefined,
  ) {
    this.#options = options;
    this.#writer = { owner, epoch };
    this.#sequence = sequence;
    this.#standing = new Standing(options.positions, key, stand, stored);
    this.#replayOf = replay(options.positions, stored, aheadOf(stand.ahead));
  }

  /** The same batch gets the same number each time that it is asked for. */
  number(batch: Batch<P>): Numbered<P> {
    const known = this.#numbered.get(batch);
    if (known !== undefined) return known;
    const { fresh, replayed } = this.#unknownOf(batch);
    if (fresh.length > 0) this.#sequence += 1;
    this.#standing.moveTo(fresh);
    const stand = this.#standing.now;
    const contents = contentsOf(fresh);
    const entries = contents.length === fresh.length ? fresh : fresh.filter(isWritten);
    const sequence = this.#sequence;
    const sent = fresh.length === 0 ? undefined : { ...this.#writer, sequence, ...stand, entries: contents };
    const next = { sent, entries, sequence, replayed, stand };
    this.#numbered.set(batch, next);
    if (sent !== undefined) this.#options.sending?.(batch, next);
    return next;
  }

  /** What of a batch is not in the stream. */
  #unknownOf(batch: Batch<P>): { readonly fresh: Batch<P>; readonly replayed: number } {
    const fresh: Entry<P>[] = [];
    let replayed = 0;
    let behind: Entry<P> | undefined;
    let upTo: P | undefined;
    for (const entry of batch) {
      const verdict = this.#replayOf(entry);
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
    this.#options.replayed?.({ events: replayed, behind, position: upTo });
    return { fresh, replayed };
  }
}

/** After a crash between two events at one position nobody could tell whether the second one is there. */
function clash<P>(one: Entry<P> | undefined, other: Entry<P>): RxaddError {
  const names = [one, other].map((entry) => entry?.id ?? entry?.ordinal ?? "before").join(" and ");
  return rxaddError(
    "PositionInvalid",
    `events ${names}: found the same position ${positionText(other.position)} on both, expected increasing positions; only events of one transaction may share one`,
  );
}

function isWritten<P>({ written }: Entry<P>): boolean {
  return written.fate !== "skip";
}

function contentsOf<P>(entries: Batch<P>): readonly EntryContent[] {
  const contents: EntryContent[] = [];
  for (const { written } of entries) if (written.fate !== "skip") contents.push(written);
  return contents;
}
