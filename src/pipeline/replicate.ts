import {
  catchError,
  defer,
  filter,
  finalize,
  map,
  type Observable,
  type OperatorFunction,
  type SchedulerLike,
  tap,
  throwError,
} from "rxjs";
import { retryBackoff } from "../../operators/retryBackoff.ts";
import { isRewind } from "../errors/rxaddError.ts";
import type { Checkpoint } from "../event/checkpoint.ts";
import { ownPosition, type Positions, type StandardPosition, storable } from "../event/positions.ts";
import type { Uninferred } from "../event/uninferred.ts";
import { decodeOptions } from "../options/decodeOptions.ts";
import { type RetryOptions, retry as retrySetting } from "../options/retryOptions.ts";
import { Settings } from "../options/settings.ts";
import type { Skipped } from "./keepPositions.ts";
import type { Sink } from "./sink.ts";
import { pipeSource, type Source } from "./source.ts";
import { withPassed } from "./withPassed.ts";

const settings = new Settings({ retry: retrySetting }).inProgram();

/** What `replicate` asks of a sink. The type of events stands once, as that of an operator: a sink made in place takes it from there. */
type Resumable<T, P> = OperatorFunction<T, Checkpoint<P>> &
  Pick<Sink<Uninferred<T>, P>, "positions" | "report" | "resuming">;

/**
 * A sink for events of type T at positions P. A sink of standard positions serves every kind of them:
 * which kind it is, the source's first event says.
 */
export type SinkFor<T, P> =
  | Resumable<T, P>
  | ([P] extends [StandardPosition] ? Resumable<T, StandardPosition> : never);

/** What {@link replicate} keeps in step. */
export interface ReplicateOptions<T, R, P> {
  readonly source: Source<T | Skipped<Uninferred<P>>, P>;
  /**
   * What the source's events go through, as plain RxJS that answers each at once: see {@link keepPositions}. The source is told
   * of each checkpoint all the same, also past events that are filtered out. What comes out needs its event's `position`. Default: they go to the sink as they are.
   */
  readonly through?: OperatorFunction<T, R> | undefined;
  readonly sink: SinkFor<R, Uninferred<P>>;
  /** When it goes back after a loss. Default: 100 ms, doubled up to 10 s, ±20 %, for ever. */
  readonly retry?: RetryOptions;
  /** Where time comes from; the sink has its own. Default: the clock. */
  readonly scheduler?: SchedulerLike;
}

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
 * - **Misuse** throws `ConfigurationInvalid` at once.
 *
 * @example
 * ```ts
 * replicate({ source: postgresChanges({ connectionString }), sink: redisSink({ id, uri, stream }) }).subscribe();
 * ```
 */
export function replicate<T, R, P>(
  options: ReplicateOptions<T, R, P> & { readonly through: OperatorFunction<T, R> },
): Observable<Checkpoint<P>>;
/** The same, where the events of the sink are those of the source. */
export function replicate<T, P>(options: ReplicateOptions<T, T, P>): Observable<Checkpoint<P>>;
export function replicate<T, R, P>(options: ReplicateOptions<T, R, P>): Observable<Checkpoint<P>> {
  const { source: given, through, scheduler } = options;
  const { retry } = decodeOptions(settings, "replicate", options, ["source", "through", "sink", "scheduler"]);
  // Without `through`, R is T.
  const source = (through === undefined ? given : pipeSource(given, through)) as Source<R | Skipped<P>, P>;
  // Positions that the sink hands out are those that this source, or one before it, has put in.
  const sink = options.sink as Sink<R, P>;
  return defer(() => {
    const { isNews, goesBack } = neverBack(sink.positions ?? storable(source.positions));
    /** It goes back: no run of the sink is there to say that it has ended. */
    let isGoingBack = false;
    return defer(() => {
      isGoingBack = false;
      const { open, ofEvents } = withPassed<R, P>(source);
      return sink.resuming(open, source.positions).pipe(map(ofEvents));
    }).pipe(
      retryBackoff({
        ...retry,
        ...(scheduler === undefined ? {} : { scheduler }),
        isRetryable: isRewind,
        failed: {
          next: () => {
            isGoingBack = true;
            goesBack();
          },
        },
      }),
      catchError((error) => {
        if (isRewind(error)) sink.report({ state: "closed", cause: error });
        return throwError(() => error);
      }),
      finalize(() => {
        if (isGoingBack) sink.report({ state: "closed", cause: undefined });
      }),
      filter(isNews),
      tap(({ position }) => {
        if (position !== undefined) source.acknowledge?.(position);
      }),
    );
  });
}

interface NeverBack<P> {
  /** Whether a checkpoint is to be told. */
  readonly isNews: (checkpoint: Checkpoint<P>) => boolean;
  /** From now on all comes again. */
  readonly goesBack: () => void;
}

/** Leaves out checkpoints behind one before, and after a loss all up to where it was before that. */
function neverBack<P>(positions: Positions<P>): NeverBack<P> {
  let furthest: P | undefined;
  let told: P | undefined;

  const order = (a: P, b: P) => positions.compare?.(a, b) ?? 1;

  return {
    isNews: ({ position }) => {
      if (position === undefined) return true;
      if (told !== undefined && order(position, told) <= 0) return false;
      if (furthest !== undefined && order(position, furthest) < 0) return false;
      furthest = ownPosition(position);
      return true;
    },
    goesBack: () => {
      told = furthest;
    },
  };
}
