import { type RxaddError, rxaddError } from "../errors/rxaddError.ts";
import { hasOrder, type Positions } from "../event/positions.ts";

/** Where a sink stands. */
export interface Standing<P> {
  readonly id: string;
  readonly positions: Positions<P>;
  /** Up to where it has everything; undefined: it has nothing. */
  readonly from: P | undefined;
  /** It counts for the checkpoint, and may stop the others. */
  readonly isVoter: boolean;
}

/** How one position stands to another; `apart`: they differ, and have no order. Undefined is before all others. */
export type Relation = "before" | "same" | "after" | "apart";

/** Compares two positions, in the order that they have. */
export function relation<P>(positions: Positions<P>, a: P | undefined, b: P | undefined): Relation {
  if (a === undefined) return b === undefined ? "same" : hasOrder(positions, b) ? "before" : "apart";
  if (b === undefined) return hasOrder(positions, a) ? "after" : "apart";
  const order = positions.compare?.(a, b);
  if (order === undefined) return positions.encode(a) === positions.encode(b) ? "same" : "apart";
  return order === 0 ? "same" : order < 0 ? "before" : "after";
}

/** Where the source has to begin, and who cannot go on from there. */
interface Place<P, S> {
  readonly from: P | undefined;
  readonly apart: readonly S[];
}

/**
 * The lowest position; where they have no order, the one at which as many stand as the checkpoint needs. Throws
 * `PositionInvalid` where there is none.
 */
export function placeFor<P, S extends Standing<P>>(there: readonly S[], votes: number): Place<P, S> {
  const isAt =
    (from: P | undefined, ...relations: readonly Relation[]) =>
    (sink: S) =>
      relations.includes(relation(sink.positions, sink.from, from));
  const lowest = there.find(({ from }) => there.every(isAt(from, "same", "after")));
  if (lowest !== undefined) return { from: lowest.from, apart: [] };
  const voters = there.filter(({ isVoter }) => isVoter);
  const enough = voters.filter(({ from }) => voters.filter(isAt(from, "same")).length >= votes);
  const [one] = enough;
  if (one !== undefined && enough.every(isAt(one.from, "same"))) {
    return { from: one.from, apart: there.filter((sink) => !isAt(one.from, "same")(sink)) };
  }
  const from = voters[0]?.from;
  const other = voters.find(isAt(from, "apart"));
  if (other === undefined) return { from, apart: [] };
  throw standsElsewhere(other, from);
}

/** The furthest position that a sink has, or `start`. */
export function furthest<P>(sinks: readonly Standing<P>[], start: P | undefined): P | undefined {
  return sinks.reduce<P | undefined>(
    (reached, { positions, from }) => (relation(positions, from, reached) === "after" ? from : reached),
    start,
  );
}

/** Why a sink cannot go on from a place. */
export function standsElsewhere<P>({ id, positions, from }: Standing<P>, place: P | undefined): RxaddError {
  const text = (at: P | undefined) => (at === undefined ? "no position" : positions.encode(at));
  return rxaddError(
    "PositionInvalid",
    `sink ${id} stands at ${text(from)}, another one at ${text(place)}: expected the same position, as these have no order; run sink ${id} alone until it stands where the others do`,
  );
}
