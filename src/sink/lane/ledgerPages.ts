import { beginFields, laneFields } from "../../redis/publish/ledger.ts";
import type { LaneStand } from "./stand.ts";

/** Collects what the next page of a ledger is to say of its lanes. */
export class LedgerPages {
  /** Lanes that have moved since the last page, and where they stand. */
  #changed = new Map<string, LaneStand>();
  #begins = new Map<string, string>();
  /** What the page that is on its way says of them. */
  #writing: ReadonlyMap<string, LaneStand> = new Map();
  /** The lanes that had lost something, and where they stand; until all that was written is there again. */
  readonly #back: Map<string, LaneStand>;

  constructor(back: ReadonlyMap<string, LaneStand>) {
    this.#back = new Map(back);
  }

  /** How many lanes have moved since the last page. */
  get moved(): number {
    return this.#changed.size;
  }

  /** Where a lane stands, if the ledger does not say it yet. */
  standOf(stream: string): LaneStand | undefined {
    return this.#changed.get(stream) ?? this.#writing.get(stream) ?? this.#back.get(stream);
  }

  /** A lane that has no event up to a position has been made. */
  began(stream: string, position: string): void {
    this.#begins.set(stream, position);
  }

  /** A lane has moved. @param isNews - whether that goes beyond what the ledger says already */
  movedTo(stream: string, stand: LaneStand, isNews: () => boolean): void {
    if (this.#back.has(stream)) this.#back.set(stream, stand);
    else if (isNews()) this.#changed.set(stream, stand);
  }

  /** The fields and values of a page. What stood back has caught up by now with all that the source has. */
  take(): readonly string[] {
    for (const [stream, stand] of this.#back) this.#changed.set(stream, stand);
    this.#back.clear();
    const fields = [
      ...[...this.#changed].flatMap(([stream, stand]) => laneFields(stream, stand)),
      ...[...this.#begins].flatMap(([stream, begin]) => beginFields(stream, begin)),
    ];
    this.#writing = this.#changed;
    this.#changed = new Map();
    this.#begins = new Map();
    return fields;
  }
}
