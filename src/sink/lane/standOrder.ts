import { type RxaddError, rxaddError } from "../../errors/rxaddError.ts";
import type { Positions } from "../../event/positions.ts";
import { aheadOf, type LaneStand, storedPosition } from "./stand.ts";

/** How a sink's stored positions are read and compared. */
export interface StandOrder<P> {
  readonly positions: Positions<P>;
  /** The key that they stand under, for messages. */
  readonly key: string;
}

/** Whether one position stands before another; undefined stands before all others. */
export function isBefore<P>(by: StandOrder<P>, a: P | undefined, b: P | undefined): boolean {
  if (a === undefined || b === undefined) return a === undefined && b !== undefined;
  const order = by.positions.compare?.(a, b);
  if (order === undefined) throw withoutOrder(by, a);
  return order < 0;
}

/** Whether something that one stand has is not there at another. */
export function isBehind<P>(by: StandOrder<P>, a: LaneStand, b: LaneStand): boolean {
  const [upToA, upToB] = [farthest(by, a), farthest(by, b)];
  if (isBefore(by, upToA.position, upToB.position)) return true;
  return !isBefore(by, upToB.position, upToA.position) && upToA.events < upToB.events;
}

/** The last position that a lane has events of, and how many of them. */
function farthest<P>(
  { positions, key }: StandOrder<P>,
  { position, ahead }: LaneStand,
): { readonly position: P | undefined; readonly events: number } {
  const { events, position: last } = aheadOf(ahead) ?? { events: Number.POSITIVE_INFINITY, position };
  return { position: storedPosition(positions, key, last), events };
}

export function withoutOrder<P>({ positions, key }: StandOrder<P>, position: P): RxaddError {
  return rxaddError(
    "PositionInvalid",
    `${key}: found position ${positions.encode(position)}, expected positions with an order: over the streams of a Cluster nothing else tells what is there already`,
  );
}
