import type { Positions } from "../../event/positions.ts";
import type { Entry } from "../encode/entry.ts";
import type { Ahead } from "./stand.ts";

/**
 * Whether an event is in the stream already:
 * - `new`: it is not;
 * - `known`: it was there when the lane was opened;
 * - `behind`: the source has gone back in this run, to what it has sent before;
 * - `clash`: it stands where another event does, and nobody could tell after a crash which of the two is there.
 */
export type Replay = "new" | "known" | "behind" | "clash";

/** Whether it is one event. The ID alone does not tell: it may be that of a row, which a transaction changes several times. */
function isSame<P>(one: Entry<P>, other: Entry<P>): boolean {
  return one.id !== undefined && one.id === other.id && isSameContent(one.written, other.written);
}

function isSameContent<P>(one: Entry<P>["written"], other: Entry<P>["written"]): boolean {
  if (one.fate === "skip" || other.fate === "skip") return false;
  if (one.form === "event") return other.form === "event" && isSameWord(one.payload, other.payload);
  if (other.form === "event" || one.words.length !== other.words.length) return false;
  return one.words.every((word, index) => isSameWord(word, other.words[index]));
}

function isSameWord(one: string | Buffer, other: string | Buffer | undefined): boolean {
  if (typeof one === "string" || typeof other === "string") return one === other;
  return other !== undefined && one.equals(other);
}

/**
 * Makes the function that tells replayed events from new ones, by their positions, given in order. Without positions, or an
 * order, all are new.
 *
 * Events of one transaction may share a position: those that come again are counted, so that neither the first ones
 * are doubled nor the others lost. Two that are the same, in ID and content, count as one that comes again. Others may not.
 *
 * @param stored - up to where all is there when the lane is opened
 * @param ahead - what is there of the position after it
 */
export function replay<P>(
  positions: Positions<P>,
  stored: P | undefined,
  ahead: Ahead | undefined,
): (entry: Entry<P>) => Replay {
  let last = stored;
  /** The first and the newest event at `last` in this run, and how many there are. */
  let first: Entry<P> | undefined;
  let newest: Entry<P> | undefined;
  let events = 0;
  /** How many of them come again. */
  let again = 0;
  let toCome = ahead;
  let firstToCome: Entry<P> | undefined;

  function moveTo(entry: Entry<P>, position: P): void {
    last = position;
    first = entry;
    newest = entry;
    events = 1;
    again = 0;
  }

  function addHere(entry: Entry<P>): void {
    newest = entry;
    events += 1;
  }

  /** At a position that nothing of this run has had. */
  function beyond(entry: Entry<P>, position: P): Replay {
    if (toCome !== undefined && positions.encode(position) === toCome.position) {
      if (firstToCome === undefined || isSame(entry, firstToCome)) {
        firstToCome = entry;
        toCome = ahead ?? toCome;
      }
      toCome = toCome.events > 1 ? { ...toCome, events: toCome.events - 1 } : undefined;
      if (toCome === undefined) {
        moveTo(firstToCome, position);
        newest = entry;
        events = ahead?.events ?? 1;
      }
      return "known";
    }
    toCome = undefined;
    moveTo(entry, position);
    return "new";
  }

  /** At the position of the event before. */
  function here(entry: Entry<P>): Replay {
    if (first === undefined || newest === undefined) return "known";
    if (isSame(entry, first)) {
      again = events - 1;
      return "behind";
    }
    if (again > 0) {
      again -= 1;
      return "behind";
    }
    if (isSame(entry, newest)) return "behind";
    // Outside a transaction a position is one event's: its ID tells, whatever else it says this time.
    if (entry.transaction === undefined || entry.transaction.id !== newest.transaction?.id)
      return entry.id !== undefined && entry.id === newest.id ? "behind" : "clash";
    addHere(entry);
    return "new";
  }

  return (entry) => {
    const { position } = entry;
    if (position === undefined) return "new";
    if (last === undefined) return beyond(entry, position);
    const order = positions.compare?.(position, last) ?? 1;
    if (order > 0) return beyond(entry, position);
    if (order === 0) return here(entry);
    again = events;
    if (toCome !== undefined) firstToCome = undefined;
    return newest === undefined ? "known" : "behind";
  };
}
