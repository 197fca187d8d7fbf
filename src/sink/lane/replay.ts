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

/** Tells replayed events from new ones. */
export interface Replaying<P> {
  /** Asked of each event, in order. */
  readonly verdictOf: (entry: Entry<P>) => Replay;
  /** From now on it remembers nothing that keeps the memory which entries share. */
  readonly rest: () => void;
}

/** Whether it is one event. The ID alone does not tell: it may be that of a row, which a transaction changes several times. */
function isSame<P>(one: Entry<P>, other: Entry<P>): boolean {
  if (one.id === undefined || one.id !== other.id || one.words !== other.words || one.words === 0)
    return false;
  return one.memory.compare(other.memory, other.start, other.end, one.start, one.end) === 0;
}

/**
 * Makes what tells replayed events from new ones, by their positions, given in order. Without positions, or an
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
): Replaying<P> {
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

  function verdictOf(entry: Entry<P>): Replay {
    const { position } = entry;
    if (position === undefined) return "new";
    if (last === undefined) return beyond(entry, position);
    const order = positions.compare?.(position, last) ?? 1;
    if (order > 0) return beyond(entry, position);
    if (order === 0) return here(entry);
    again = events;
    if (toCome !== undefined) firstToCome = undefined;
    return newest === undefined ? "known" : "behind";
  }

  return {
    verdictOf,
    rest: () => {
      first &&= apart(first);
      newest &&= apart(newest);
      firstToCome &&= apart(firstToCome);
    },
  };
}

/** With memory of its own; without an ID no one asks for its content. */
function apart<P>(entry: Entry<P>): Entry<P> {
  const { id, memory, start, end } = entry;
  const size = id === undefined ? 0 : end - start;
  if (memory.length === size) return entry;
  return { ...entry, memory: Buffer.from(memory.subarray(start, start + size)), start: 0, end: size };
}
