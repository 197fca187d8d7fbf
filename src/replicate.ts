import { isSome } from "fp-ts/lib/Option.js";
import { defer, filter, map, type Observable, type SchedulerLike, tap } from "rxjs";
import { type RetryBackoffOptions, retryBackoff } from "../operators/retryBackoff.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { Skipped } from "./keepPositions.ts";
import type { StandardPosition } from "./positions.ts";
import type { Sink } from "./redisSink.ts";
import { isSinkError } from "./sinkError.ts";
import type { Source } from "./source.ts";
import { withPassed } from "./withPassed.ts";

/**
 * A sink for events of type T at positions P. A sink of standard positions serves every kind of them:
 * which kind it is, the source's first event says.
 */
export type SinkFor<T, P> = Sink<T, P> | ([P] extends [StandardPosition] ? Sink<T, StandardPosition> : never);

/**
 * Keeps a stream in step with a source: opens the sink, asks it where the stream ends, opens the
 * source there, and tells the source of each checkpoint.
 *
 * When Redis has lost acknowledged batches, in a failover or a restart without persistence, it goes
 * back by itself to what the stream still has and sends the rest again.
 *
 * - **Checkpoints** never go back: while it catches up after a loss it emits none, provided that
 *   positions have an order. One of 0 events says that the source has passed a position without any.
 * - **Errors** those of the sink, but for `RewindRequired`, and those of the source: one that no longer has what it is asked
 *   for says `PositionUnavailable`.
 *
 * @example
 * ```ts
 * replicate({ source: postgresChanges({ connectionString }), sink: redisSink({ id, uri, stream }) }).subscribe();
 * ```
 */
export function replicate<T, P>({
  source,
  sink: given,
  retry,
  scheduler,
}: {
  readonly source: Source<T | Skipped<NoInfer<P>>, P>;
  readonly sink: SinkFor<T, NoInfer<P>>;
  /** When it goes back after a loss. Default: 100 ms, doubled up to 10 s, ±20 %, for ever. */
  readonly retry?: Pick<RetryBackoffOptions, "initialMs" | "factor" | "maxMs" | "jitter" | "maxRetries">;
  /** Where time comes from; the sink has its own. Default: the clock. */
  readonly scheduler?: SchedulerLike;
}): Observable<Checkpoint<P>> {
  // Positions that the sink hands out are those that this source, or one before it, has put in.
  const sink = given as Sink<T, P>;
  return defer(() => {
    const isAhead = neverBack(sink);
    const replicating$ = defer(() => {
      const { open, ofEvents } = withPassed<T, P>(source);
      return sink.resuming(open).pipe(map(ofEvents));
    });
    return replicating$.pipe(
      retryBackoff({
        ...retry,
        ...(scheduler === undefined ? {} : { scheduler }),
        isRetryable: (error) => isSinkError(error) && error.kind === "rewind",
      }),
      filter(isAhead),
      tap(({ position }) => {
        if (position !== undefined) source.acknowledge?.(position);
      }),
    );
  });
}

/** Tells checkpoints that go further than every one before. */
function neverBack<T, P>({ positions }: Sink<T, P>): (checkpoint: Checkpoint<P>) => boolean {
  let furthest: P | undefined;
  return ({ position }) => {
    if (position === undefined) return true;
    const ord = positions.orderOf(position);
    if (furthest !== undefined && isSome(ord) && ord.value.compare(position, furthest) <= 0) return false;
    furthest = position;
    return true;
  };
}
