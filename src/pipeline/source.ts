import type { Observable, OperatorFunction } from "rxjs";
import type { Flow } from "../../operators/flow.ts";
import type { Positions } from "../event/positions.ts";
import type { Uninferred } from "../event/uninferred.ts";
import { keepPositions, type Skipped } from "./keepPositions.ts";

/**
 * Events from a given position on: a source that can be opened again where a sink says.
 *
 * Called with `undefined` it starts at its beginning; called with a position it goes on strictly after it. `flow` asks it to
 * pause and to resume; a source that cannot pause ignores it. Subscribing opens the source, unsubscribing closes it.
 *
 * - **Forgetting** a source that forgets what was acknowledged has to compare, at every start, where it is asked to begin
 *   with what it still has, by a mark that outlives the process. `undefined` is before everything. What is gone it refuses with an
 *   error whose `_tag` is `"PositionUnavailable"`, before its first event; `fanOut` then goes on without sinks that it can spare.
 * - **Never forget more** than what `acknowledge` was told: that is what the sink has stored, and will ask for.
 *
 * @example
 * ```ts
 * const changes: Source<Change, number> = Object.assign(
 *   (from: number | undefined, flow: Observable<Flow>) => log.after(from ?? 0, flow),
 *   { acknowledge: (position: number) => log.forget(position), passed: log.passed$ },
 * );
 * ```
 */
export interface Source<T, P> {
  /**
   * @param reached - the furthest position of several sinks, where `from` is the lowest: with one it is no first run, although
   *   `from` may be undefined. Undefined: `from`.
   */
  (from: P | undefined, flow: Observable<Flow>, reached?: P): Observable<T>;
  /** How its positions are stored and ordered, for sinks whose options do not say so. Default: as numbers, bigints, LSNs and texts are. */
  readonly positions?: Positions<P>;
  /** Told of each checkpoint: the source may forget everything up to there. */
  readonly acknowledge?: (position: P) => void;
  /**
   * Positions that the source has come to without an event, and where it began at its first run: so that a sink stores
   * them, and the source may forget what stands before them once they are acknowledged. To be told only while every event
   * that was emitted is acknowledged, and beyond all of them; and sparingly, such as every ten seconds: each is a call to Redis.
   */
  readonly passed?: Observable<P>;
}

/** A source that is another one, changed: it keeps what goes beside the events. */
export function sourceFrom<T, R, P>(
  source: Source<T, P>,
  events: (from: P | undefined, flow: Observable<Flow>, reached?: P) => Observable<R>,
): Source<R, P> {
  const { positions, acknowledge, passed } = source;
  return Object.assign(events.bind(undefined), {
    ...(positions && { positions }),
    ...(acknowledge && { acknowledge: acknowledge.bind(source) }),
    ...(passed && { passed }),
  });
}

/**
 * A source whose events go through operators, and that keeps what goes beside them: their positions, also of those that are
 * filtered out, and what is acknowledged.
 *
 * @param how - plain RxJS that answers each event at once, as in {@link keepPositions}
 *
 * @example
 * ```ts
 * const orders = pipeSource(changes, filter(({ source }) => source.table === "orders"));
 * ```
 */
export function pipeSource<T, R, P>(
  source: Source<T | Skipped<Uninferred<P>>, P>,
  how: OperatorFunction<T, R>,
): Source<R | Skipped<P>, P> {
  return sourceFrom(source, (...opening) =>
    // What is skipped already goes by.
    (source(...opening) as Observable<T>).pipe(keepPositions<T, R, P>(how)),
  );
}

/** Whether a source says that it no longer has what it was asked for. */
export function isUnavailable(error: unknown): boolean {
  return (
    typeof error === "object" && error !== null && "_tag" in error && error._tag === "PositionUnavailable"
  );
}
