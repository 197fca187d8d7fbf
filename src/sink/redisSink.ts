import {
  BehaviorSubject,
  catchError,
  defer,
  filter,
  finalize,
  identity,
  ignoreElements,
  map,
  merge,
  type Observable,
  type OperatorFunction,
  pipe,
  Subject,
  Subscription,
  switchMap,
  take,
  takeUntil,
  tap,
  throwError,
} from "rxjs";
import { BufferOverflow, boundedBuffer } from "../../operators/boundedBuffer.ts";
import { checkpoint } from "../../operators/checkpoint.ts";
import type { Flow } from "../../operators/flow.ts";
import { isRxaddError, type RxaddError, rxaddError } from "../errors/rxaddError.ts";
import { errorOf } from "../errors/thrown.ts";
import type { Checkpoint } from "../event/checkpoint.ts";
import type { PositionOf } from "../event/eventAccess.ts";
import { ownPosition, type Positions, type StorablePositions, storable } from "../event/positions.ts";
import type { Skipped } from "../pipeline/keepPositions.ts";
import type { CallableSink, Caller, OpenSource, Sink } from "../pipeline/sink.ts";
import { openStreamWatch } from "../redis/inspect/streamWatch.ts";
import { openConnection } from "../redis/publish/publishConnection.ts";
import { type Reporter, reporter } from "../telemetry/reporter.ts";
import type { BufferFill } from "../telemetry/sinkObserver.ts";
import { type SinkWatchers, sinkWatchers } from "../telemetry/sinkWatchers.ts";
import { sinkStates } from "../telemetry/states.ts";
import type { SinkStatus } from "../telemetry/status.ts";
import type { Watchable } from "../telemetry/watchable.ts";
import { batchSpans } from "./batchSpans.ts";
import { closeWithin } from "./closeWithin.ts";
import { DropReport } from "./dropReport.ts";
import { encoder } from "./encode/encoder.ts";
import { countedAnew, type Entry } from "./encode/entry.ts";
import { order } from "./encode/safePosition.ts";
import { toEntry } from "./encode/toEntry.ts";
import type { Safe } from "./lane/heldBack.ts";
import type { AcknowledgedBatch } from "./lane/lane.ts";
import { type Lanes, lanes } from "./lane/lanes.ts";
import { programOptions, type SinkOptions } from "./sinkOptions.ts";
import { decodeTuning, type SinkTuning } from "./sinkTuning.ts";
import { writersOf } from "./writers.ts";

/** What `redisSink` makes. A type of its own: through an intersection TypeScript does not see what P is in a `pipe`. */
export interface RedisSink<T, P> extends Sink<T, P>, CallableSink<T, P>, Watchable {}

/**
 * Publishes events to a Redis Stream in batches and emits a {@link Checkpoint} for each batch that
 * Redis has acknowledged.
 *
 * ```
 * events        -abc-----d--|
 * checkpoints   ----C------D|      C: everything up to c is safe
 * ```
 *
 * - **Delivery** exactly once into the stream, in source order, while one writer has the sink id and
 *   events carry increasing positions; see docs/guarantees.md. A second writer fences the first.
 * - **Without positions** exactly once within a subscription, of which many may publish side by side; see `writers`. What
 *   Redis loses is told by the status `lost`, and the sink goes on.
 * - **Retries** what may pass is retried with backoff, and holds the checkpoint meanwhile.
 * - **Memory** bounded by `buffer`: `flow` pauses the source; one that goes on, such as `from(array)` of more than fits, gets `BufferOverflow`, or
 *   loses events as `overflow` says; see `fromIterable`.
 * - **Misuse** throws `ConfigurationInvalid` at once, with all that is wrong with the options.
 * - **Errors** an {@link RxaddError} that says what to do. An error of the source comes out after what
 *   went before it is safe.
 * - **Observers** that throw (`status`, `metrics`, `flow`, `tracer`) end nothing; a `warning` tells of the first time.
 * - **Completion** publishes what is left, emits the last checkpoint, closes the connection, completes; `closeWithinMs` bounds that.
 * - **Teardown** closes the connection at once.
 *
 * @example
 * ```ts
 * changes$
 *   .pipe(redisSink({ id: "orders-redis", uri: "redis://localhost", stream: "orders.events" }))
 *   .subscribe((checkpoint) => save(checkpoint.position));
 * ```
 */
export function redisSink<T, P = PositionOf<T>>(options: SinkOptions<T, P>): RedisSink<T, P> {
  const tuning = decodeTuning(options, programOptions);
  const positions = options.positions && storable(options.positions);
  const watchers = sinkWatchers(options);
  const partsFor = (given?: Positions<P>) => ({
    ...{ options, tuning, watchers },
    positions: positions ?? storable(given),
  });
  const sink = (events$: Observable<T | Skipped<P>>) => run(partsFor(), () => events$, false);
  return Object.assign(sink, {
    id: options.id,
    required: tuning.required,
    positions,
    report: watchers.status,
    called: (caller: Caller) => (events$: Observable<T>) => run(partsFor(), () => events$, false, caller),
    watch: watchers.watch,
    openWatch: () => openStreamWatch(options, { ...reachOf(tuning), name: `rxadd:${options.id}:watch` }),
    resuming: (source: OpenSource<T, P>, given?: Positions<P>) => {
      if (writersOf(tuning) === "many") throw manyResuming(options.id);
      return run(partsFor(given), source, true);
    },
  });
}

/** What a sink is made of. */
interface Parts<T, P> {
  readonly options: SinkOptions<T, P>;
  readonly tuning: SinkTuning;
  readonly positions: StorablePositions<P>;
  readonly watchers: SinkWatchers;
}

function reachOf({ tls, sentinel, connectTimeoutMs, sendTimeoutMs }: SinkTuning) {
  return { tls, sentinel, connectTimeoutMs, sendTimeoutMs };
}

/** One subscription: a connection, and the chain from events to checkpoints. */
function run<T, P>(
  parts: Parts<T, P>,
  source: OpenSource<T, P>,
  isResuming: boolean,
  caller?: Caller,
): Observable<Checkpoint<P>> {
  const { options, tuning, watchers } = parts;
  const { id: sink, stream } = options;
  return defer(() => {
    const status = reporter<SinkStatus>(sinkStates, { state: "publishing" }, watchers.status);
    const spans = watchers.tracer && batchSpans<P>({ tracer: watchers.tracer, sink, stream });
    const open = new Subscription();
    status.report({ state: "connecting" });

    const checkpoints$ = defer(() => {
      const connection = openConnection({
        server: options,
        name: `rxadd:${sink}`,
        publish: tuning.publish,
        durability: tuning.durability,
        trim: tuning.trim,
        ...reachOf(tuning),
      });
      open.add(connection);
      open.add(connection.warnings$.subscribe((message) => status.report({ state: "warning", message })));
      const flow = new BehaviorSubject<Flow>("resume");
      const itsLanes = lanes({ ...parts, isResuming, connection, status, spans });
      open.add(itsLanes.end);
      // Lanes that events have yet to ask for cannot say that they are open.
      if (!itsLanes.tellsOpening) open.add(connection.ready$.pipe(take(1)).subscribe(status.reached));
      let stands: P | undefined;
      const opened$ = itsLanes.opened$.pipe(
        tap((position) => {
          stands = position;
        }),
      );
      const drops = new DropReport(tuning.buffer.maxEvents, status.report);
      open.add(() => drops.end());
      const ended$ = new Subject<unknown>();
      const stood = () => (itsLanes.writers() === "many" ? undefined : stands);
      const toCheckpoints = chain(parts, itsLanes, status, drops, flow, ended$, stood, caller);

      const published$ = isResuming
        ? opened$.pipe(switchMap((position) => toCheckpoints(source(ownPosition(position), flow))))
        : // Opened at once, so that a wrong password shows before the first event.
          merge(opened$.pipe(ignoreElements()), toCheckpoints(source(undefined, flow)));
      const { closeWithinMs: withinMs } = tuning;
      return published$.pipe(
        closeWithin({ sink, withinMs, scheduler: options.scheduler, ended$, close$: connection.close$ }),
        takeUntil(connection.failure$),
        tap({
          error: () => {
            itsLanes.end();
            drops.end();
          },
        }),
      );
    });

    return checkpoints$.pipe(
      catchError((error) => {
        const cause = causeOf(error, sink);
        const failure = errorOf(cause);
        spans?.ended(failure);
        if (isResuming && isRxaddError(cause) && cause.kind === "rewind")
          status.report({ state: "rewound", cause });
        else status.closed(failure);
        return throwError(() => cause);
      }),
      finalize(() => {
        open.unsubscribe();
        spans?.ended();
        status.closed(undefined);
      }),
    );
  });
}

/** events → entries → bounded buffer (batch → retry with backoff → XADD → checkpoint) */
function chain<T, P>(
  { options, tuning, positions, watchers }: Parts<T, P>,
  { arrived, publish, safe }: Lanes<P>,
  status: Reporter<SinkStatus>,
  drops: DropReport,
  flow: BehaviorSubject<Flow>,
  ended$: Subject<unknown>,
  stands: () => P | undefined,
  caller: Caller | undefined,
): OperatorFunction<T | Skipped<P>, Checkpoint<P>> {
  const { id } = options;
  const { maxEvents: maxItems, maxBytes, overflow } = tuning.buffer;
  const itsEncoder = encoder(options, tuning);
  let fill: BufferFill = { items: 0, bytes: 0, maxItems, maxBytes };
  let releasedBytes = 0;
  let reached: P | undefined;
  let replayedEvents = 0;
  watchers.buffered(fill);

  return pipe(
    map(toEntry(itsEncoder, options.event, positions, watchers.isWatched, caller?.refused)),
    arrived === undefined ? identity : tap(arrived),
    tuning.closeWithinMs === undefined
      ? identity
      : tap({ error: (cause) => ended$.next(cause), complete: () => ended$.next(undefined) }),
    boundedBuffer(
      {
        overflowed: ended$,
        maxItems,
        maxBytes,
        overflow,
        dropped: drops,
        sizeOf: ({ bytes }) => bytes,
        released: ({ left }: Safe<Entry<P>, AcknowledgedBatch<P>>) => {
          if (left === undefined) return { items: 0, bytes: 0 };
          itsEncoder.release(left.last);
          const bytes = left.last.totalBytes - releasedBytes;
          releasedBytes = left.last.totalBytes;
          return { items: left.items, bytes };
        },
        fill: {
          next: (now) => {
            fill = { ...now, maxItems, maxBytes };
            if (now.items === 0) itsEncoder.rest();
            watchers.buffered(fill);
          },
        },
        flow: {
          next: (signal) => {
            if (signal === "pause") status.report({ state: "paused", events: fill.items, bytes: fill.bytes });
            else {
              drops.end();
              status.report({ state: "resumed" });
            }
            watchers.flow(signal);
            caller?.flow(signal);
            flow.next(signal);
          },
        },
      },
      pipe(
        overflow === "error" ? identity : countedAnew(),
        publish,
        tap(({ replayed }) => {
          replayedEvents += replayed;
        }),
        checkpoint(
          ({ batch }: AcknowledgedBatch<P>) => batch,
          ({ ordinal }) => ordinal,
        ),
        safe,
      ),
    ),
    map(({ reached }) => reached),
    filter((progress) => progress !== undefined),
    map(({ last, items: events, acknowledgement: { stream, sequence, entryId } }) => {
      reached ??= stands();
      if (last.safe !== undefined && (reached === undefined || order(positions, last.safe, reached) > 0))
        reached = last.safe;
      // Of several streams one may be ahead, and with it what was replayed there.
      const replayed = Math.min(replayedEvents, events);
      replayedEvents -= replayed;
      const position = ownPosition(reached);
      const now = { sink: id, stream, position, sequence, events, replayed, entryId };
      watchers.checkpoint(now, last.timeMs);
      return now;
    }),
  );
}

/** Where many write, none of them has a place at which a source could go on. */
function manyResuming(id: string): RxaddError {
  return rxaddError(
    "ConfigurationInvalid",
    `sink ${id}: found writers: "many", or a buffer.overflow that drops events, where a source is opened where the sink stands, as by replicate: only one owner knows where that is, and what is dropped would be a hole before it`,
  );
}

function causeOf(error: unknown, id: string): unknown {
  return error instanceof BufferOverflow
    ? rxaddError(
        "BufferOverflow",
        `sink ${id}: ${error.message}: an array or another iterable goes in as there is room by publisher(sink).publishAll or fromIterable; let any other source heed flow, as fromReadable does, raise buffer.maxEvents and buffer.maxBytes, or let buffer.overflow drop events that have no position`,
        error,
      )
    : error;
}
