import type { Observable, OperatorFunction } from "rxjs";
import type { Flow } from "../../operators/flow.ts";
import type { RxaddError } from "../errors/rxaddError.ts";
import type { Checkpoint } from "../event/checkpoint.ts";
import type { Positions } from "../event/positions.ts";
import type { SinkStatus } from "../telemetry/status.ts";
import type { Skipped } from "./keepPositions.ts";

/** Opens the source where the sink asks for it; `reached` is the furthest that one of several stands, where `from` is the lowest. */
export type OpenSource<T, P> = (
  from: P | undefined,
  flow: Observable<Flow>,
  reached?: P,
) => Observable<T | Skipped<P>>;

/** An operator that publishes events and emits checkpoints, and that can tell a source where to resume. */
export interface Sink<T, P> extends OperatorFunction<T | Skipped<P>, Checkpoint<P>> {
  readonly id: string;
  readonly required: boolean;
  /** How positions are stored and ordered, where its options say so. */
  readonly positions?: Positions<P> | undefined;
  /** Tells who watches the sink what is known outside of it; for those who run several. */
  readonly report: (status: SinkStatus) => void;
  /**
   * Finds out where the sink stands, then opens the source there. Of computed streams in a Cluster that is where
   * all of them have everything, or the one that Redis has lost most of; each leaves out what it has already.
   *
   * @param positions - those of the source, for a sink whose options name none
   */
  readonly resuming: (source: OpenSource<T, P>, positions?: Positions<P>) => Observable<Checkpoint<P>>;
}

/** Who calls a sink for each event: hears what becomes of single ones, and when to pause. */
export interface Caller {
  /** @param ordinal - the event's number within the subscription, from 0 */
  readonly refused: (ordinal: number, error: RxaddError) => void;
  readonly flow: (signal: Flow) => void;
}

/** A sink that does not end with an event that it cannot publish: it passes over it, and tells who called. */
export interface CallableSink<T, P> {
  readonly id: string;
  readonly called: (by: Caller) => OperatorFunction<T, Checkpoint<P>>;
}
