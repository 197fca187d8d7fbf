import { beginFields, laneFields } from "../../redis/publish/ledger.ts";
import type { LaneStand } from "./stand.ts";

/** Collects what the next page of a ledger is to say of its lanes. */
export interface LedgerPages {
  /** How many lanes have moved since the last page. */
  readonly moved: () => number;
  /** Where a lane stands, if the ledger does not say it yet. */
  readonly standOf: (stream: string) => LaneStand | undefined;
  /** A lane that has no event up to a position has been made. */
  readonly began: (stream: string, position: string) => void;
  /** A lane has moved; `isNews`: beyond what the ledger says already. */
  readonly movedTo: (stream: string, stand: LaneStand, isNews: () => boolean) => void;
  /** The fields and values of a page. What stood back has caught up by now with all that the source has. */
  readonly take: () => readonly string[];
}

/** @param lost - the lanes that have lost something, and where they stand */
export function ledgerPages(lost: ReadonlyMap<string, LaneStand>): LedgerPages {
  /** Until all that was written is there again. */
  const back = new Map(lost);
  let changed = new Map<string, LaneStand>();
  let begins = new Map<string, string>();
  /** What the page that is on its way says. */
  let writing: ReadonlyMap<string, LaneStand> = changed;
  return {
    moved: () => changed.size,
    standOf: (stream) => changed.get(stream) ?? writing.get(stream) ?? back.get(stream),
    began: (stream, position) => begins.set(stream, position),
    movedTo: (stream, stand, isNews) => {
      if (back.has(stream)) back.set(stream, stand);
      else if (isNews()) changed.set(stream, stand);
    },
    take: () => {
      for (const [stream, stand] of back) changed.set(stream, stand);
      back.clear();
      const fields = [
        ...[...changed].flatMap(([stream, stand]) => laneFields(stream, stand)),
        ...[...begins].flatMap(([stream, begin]) => beginFields(stream, begin)),
      ];
      writing = changed;
      changed = new Map();
      begins = new Map();
      return fields;
    },
  };
}
