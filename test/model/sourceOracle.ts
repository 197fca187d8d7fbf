import type { LogEvent } from "../kit/load/forgettingLog.ts";
import type { Place } from "./sourceBeds.ts";

/** What some sink ought to have, and of which log it is. */
export interface Owed extends LogEvent {
  readonly generation: number;
}

/** What a checkpoint says: everything up to here is safe. */
export interface Promised {
  readonly position: number;
  /** The last event that it counts, where that is known. */
  readonly counted: LogEvent | undefined;
  readonly generation: number;
  /** Where the sinks published. */
  readonly at: readonly Place[];
}

/** A stream as it is seen by a checkpoint. */
export interface Stream {
  /** All that has ever been there: what Redis has lost since was safe by its word. */
  readonly ever: ReadonlySet<string>;
  /** So much of what is owed it may lack. */
  readonly floor: number;
}

/** Which event a checkpoint is given out without: one that is not in as many streams as it needs. */
export function lacking(
  { position, counted, generation }: Promised,
  owed: readonly Owed[],
  streams: readonly Stream[],
  votes: number,
): string | undefined {
  const last = owed.findIndex(({ id }) => id === counted?.id);
  for (const [index, event] of owed.entries()) {
    if (index > last && event.generation === generation && event.position > position) return undefined;
    const having = streams.filter(({ ever, floor }) => index < floor || ever.has(event.id));
    if (having.length < votes) return event.id;
  }
  return undefined;
}

/** The first event of a stream that comes again, or too late, and the one before it. */
export function outOfOrder(ids: readonly string[], owed: readonly Owed[]): string | undefined {
  const order = new Map(owed.map(({ id }, index) => [id, index]));
  const place = (id: string | undefined) => order.get(id ?? "") ?? -1;
  const back = ids.findIndex((id, index) => index > 0 && place(id) <= place(ids[index - 1]));
  return back < 0 ? undefined : `${ids[back]} comes after ${ids[back - 1]}`;
}
