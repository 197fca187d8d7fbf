/**
 * The publish protocol: what a batch finds in its lane's producer state, and what opening a lane makes of it. One table for
 * all publishers: the scripts take its left column, the others its right one.
 */

/** A producer state. */
export interface Stored {
  /** How often the lane was opened. */
  readonly epoch: number;
  /** The number of the newest batch. */
  readonly sequence: number;
  /** Who opened it last, and alone may write. */
  readonly owner: string;
  /** The encoded position up to which every event is there; empty: of none is that known. */
  readonly position: string;
  /** How many events of the position after it are there, and that position; empty: none. */
  readonly ahead: string;
  /** The ID of the newest entry; empty: there is none yet, or it is not kept. */
  readonly entryId: string;
}

/** Tells a batch from every other one of its lane. */
export interface BatchNumber {
  /** Who sends it. */
  readonly owner: string;
  readonly epoch: number;
  readonly sequence: number;
}

/**
 * What Redis found:
 * - `missing`: there is no state;
 * - `fenced`: another one has opened the lane since;
 * - `outdated`: Redis has forgotten that the sender opened it;
 * - `known`: the batch is there already;
 * - `gap`: batches before it are not there;
 * - `next`: it is the next one.
 */
export type Verdict = "missing" | "fenced" | "outdated" | "known" | "gap" | "next";

interface Rule {
  /** A condition on `epoch`, `sequence`, `owner`, of the state, each of them nil or false if it is not there, and `my…` of the batch. */
  readonly lua: string;
  readonly applies: (at: Stored, mine: BatchNumber) => boolean;
  readonly verdict: Exclude<Verdict, "missing" | "next">;
}

/** Where there is no whole state, in Lua. */
export const missingLua = "not epoch or not sequence";

/** The first one that applies counts; if none does, the batch is the next one. Only the owner's numbers have a meaning for the owner. */
export const rules: readonly Rule[] = [
  {
    lua: "epoch > myEpoch",
    applies: (at, mine) => at.epoch > mine.epoch,
    verdict: "fenced",
  },
  {
    lua: "epoch < myEpoch",
    applies: (at, mine) => at.epoch < mine.epoch,
    verdict: "outdated",
  },
  {
    lua: "owner ~= myOwner",
    applies: (at, mine) => at.owner !== mine.owner,
    verdict: "fenced",
  },
  {
    lua: "sequence >= mySequence",
    applies: (at, mine) => at.sequence >= mine.sequence,
    verdict: "known",
  },
  {
    lua: "sequence < mySequence - 1",
    applies: (at, mine) => at.sequence < mine.sequence - 1,
    verdict: "gap",
  },
];

/** Compares a batch with the state that it finds. */
export function decide(at: Stored | undefined, mine: BatchNumber): Verdict {
  if (at === undefined) return "missing";
  return rules.find(({ applies }) => applies(at, mine))?.verdict ?? "next";
}

/** The state that a batch finds. One that expires by itself is made by its first batch. */
export function foundBy(
  at: Stored | undefined,
  { owner, epoch, sequence }: BatchNumber,
  expiresMs: number | undefined,
): Stored | undefined {
  if (at !== undefined || expiresMs === undefined || sequence !== 1) return at;
  return { owner, epoch, sequence: 0, position: "", ahead: "", entryId: "" };
}

/** What opening a lane makes of its state; the same owner changes nothing. `marked` is the epoch that its mark names, 0: there is none. */
export function opened(at: Stored | undefined, owner: string, marked: number): Stored {
  if (at?.owner === owner) return at;
  const before = at ?? { epoch: marked, sequence: 0, position: "", ahead: "", entryId: "" };
  return { ...before, epoch: before.epoch + 1, owner };
}

/** The fields of a producer state, in the order of {@link storedOf}. */
export const stateFields = ["epoch", "sequence", "owner", "position", "ahead", "entry"] as const;

/** Reads the answer of HMGET to {@link stateFields}; undefined: there is no whole state. */
export function storedOf(values: unknown): Stored | undefined {
  const texts: readonly unknown[] = Array.isArray(values) ? values : [];
  const [epoch, sequence, owner = "", position = "", ahead = "", entryId = ""] = texts.map((value) =>
    value === null || value === undefined ? undefined : String(value),
  );
  const at = { epoch: numberOf(epoch), sequence: numberOf(sequence), owner, position, ahead, entryId };
  return Number.isNaN(at.epoch + at.sequence) ? undefined : at;
}

function numberOf(text: string | undefined): number {
  return text === undefined || text.trim() === "" ? Number.NaN : Number(text);
}
