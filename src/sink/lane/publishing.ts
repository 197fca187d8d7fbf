import { randomUUID } from "node:crypto";
import type { Option } from "fp-ts/lib/Option.js";
import {
  BehaviorSubject,
  concatAll,
  concatMap,
  EMPTY,
  from,
  identity,
  type MonoTypeOperatorFunction,
  map,
  type Observable,
  type Observer,
  type OperatorFunction,
  pipe,
  type SchedulerLike,
  share,
  tap,
} from "rxjs";
import { acknowledgedWithin } from "../../../operators/acknowledgedWithin.ts";
import { type BatchOptions, batch, type UnfinishedTransaction } from "../../../operators/batch.ts";
import type { Progress } from "../../../operators/checkpoint.ts";
import { inFlight } from "../../../operators/inFlight.ts";
import { type FailedAttempt, retryBackoff } from "../../../operators/retryBackoff.ts";
import { isRetryable, rxaddError } from "../../errors/rxaddError.ts";
import type { Positions } from "../../event/positions.ts";
import { isStreamTemplate } from "../../options/codecs.ts";
import type { Connection } from "../../redis/publish/publishConnection.ts";
import {
  computedLaneKeys,
  type LaneKeys,
  laneKeys,
  type PublishPort,
} from "../../redis/publish/publishPort.ts";
import type { SinkWatchers } from "../../telemetry/sinkWatchers.ts";
import type { StatusReporter } from "../../telemetry/statusReporter.ts";
import type { BatchSpans } from "../batchSpans.ts";
import type { Batch, Entry } from "../encode/entry.ts";
import type { SinkSettings } from "../sinkOptions.ts";
import type { SinkTuning } from "../sinkTuning.ts";
import { byStream, type PublishTo } from "./byStream.ts";
import { heldBack, type Safe } from "./heldBack.ts";
import { type AcknowledgedBatch, type Lane, lane, type OpenedLane } from "./lane.ts";
import { type LaneStatus, lanesStatus } from "./lanesStatus.ts";
import { type Ledger, ledger, type Resumption } from "./ledger.ts";
import { recent } from "./recent.ts";
import { type Replayed, replayReport } from "./replayReport.ts";
import { nowhere } from "./stand.ts";

/** How far everything is in the lanes, in the order of the source. */
type Acknowledged<P> = Progress<Entry<P>, AcknowledgedBatch<P>>;

/** All lanes of one subscription. */
export interface Lanes<P> {
  /** Opens what can be opened before the first event; emits where the source goes on, if it is known, completes. */
  readonly opened$: Observable<Option<P>>;
  /** Whether the status says when that is done. */
  readonly tellsOpening: boolean;
  /** Told of each entry before it is published; undefined: there is nothing to tell. */
  readonly arrived: ((entry: Entry<P>) => void) | undefined;
  /** Publishes each entry to its stream: batch → retry with backoff → XADD. */
  readonly publish: OperatorFunction<Entry<P>, AcknowledgedBatch<P>>;
  /** What of it a checkpoint may say. */
  readonly safe: OperatorFunction<Acknowledged<P>, Safe<Entry<P>, AcknowledgedBatch<P>>>;
  /** Tells what is left to tell. */
  readonly end: () => void;
}

export interface LanesOptions<T, P> {
  readonly options: SinkSettings<T, P>;
  readonly tuning: SinkTuning;
  readonly positions: Positions<P>;
  /** Whether the source is opened where the lanes stand. */
  readonly isResuming: boolean;
  readonly connection: Connection;
  readonly status: StatusReporter;
  readonly watchers: SinkWatchers;
  /** Undefined: nobody traces. */
  readonly spans: BatchSpans<P> | undefined;
}

/** In ms: so long at least from one writing of the ledger to the next. */
const ledgerIntervalMs = 100;
/** A lane that is opened says so; of so many. */
const mostOpenedTold = 100;

/**
 * Makes the lanes of a sink: one, or where computed streams stand on several servers one for each, as
 * events ask for them.
 */
export function lanes<T, P>({
  options,
  tuning,
  positions,
  isResuming,
  connection,
  status,
  watchers,
  spans,
}: LanesOptions<T, P>): Lanes<P> {
  const { id, stream, scheduler } = options;
  const { batch: batching, buffer } = tuning;
  const owner = randomUUID();
  const window = tuning.publish === "pipeline" ? 1 : tuning.window;

  const retry = {
    ...tuning.retry,
    ...(scheduler === undefined ? {} : { scheduler }),
    isRetryable,
    // Once for all lanes: an emitter warns of more than ten listeners.
    wake: connection.ready$.pipe(share()),
  };

  /** Retries of a lane, as the status and the spans of its batches tell them. */
  function retryOf<A>(keys: LaneKeys, { failed }: LaneStatus): MonoTypeOperatorFunction<A> {
    const next = (attempt: FailedAttempt) => {
      failed.next(attempt);
      spans?.retrying(keys, attempt);
    };
    return retryBackoff({ ...retry, failed: { next } });
  }

  function makeLane(
    keys: LaneKeys,
    told: {
      readonly status: LaneStatus;
      readonly opened: (lane: OpenedLane<P>) => void;
      readonly replayed: (replayed: Replayed<P>) => void;
      readonly publishPort?: PublishPort;
      readonly owner?: string;
    },
  ): Lane<P> {
    return lane({
      owner,
      publishPort: connection.publishPort,
      ...told,
      keys,
      adopt: tuning.adopt,
      positions,
      retry: retryOf(keys, told.status),
      sending: spans && ((batch, sent) => spans.sent(keys, batch, sent)),
      warned: (message) => status.report({ state: "warning", message }),
    });
  }

  const tell = (name: string) => (opened: OpenedLane<P>) =>
    status.report({ state: "opened", stream: name, ...opened });

  const limits: BatchOptions<Entry<P>> = {
    // A quarter of the buffer at most: one that waits for more than the source may send would wait for `lingerMs`.
    maxItems: Math.max(1, Math.min(batching.maxEvents, Math.floor(buffer.maxEvents / 4))),
    maxBytes: Math.max(1, Math.min(batching.maxBytes, buffer.maxBytes / 4)),
    sizeOf: ({ written }) => written.bytes,
    lingerMs: batching.lingerMs,
    transactionOf: ({ transaction }) => transaction,
    // A quarter of the buffer: half of it would pause the source in mid-transaction, for ever.
    maxTransactionItems: buffer.maxEvents / 4,
    maxTransactionBytes: buffer.maxBytes / 4,
    unfinished: { next: (left) => status.report({ state: "warning", message: unfinishedText(id, left) }) },
    ...(scheduler === undefined ? {} : { scheduler }),
  };

  /** Not for longer than `batchTimeoutMs`, if that is given. */
  function inTime(
    published: OperatorFunction<Batch<P>, AcknowledgedBatch<P>>,
  ): OperatorFunction<Batch<P>, AcknowledgedBatch<P>> {
    const dueMs = tuning.batchTimeoutMs;
    if (dueMs === undefined) return published;
    const late = () =>
      rxaddError(
        "BatchTimedOut",
        `sink ${id}: Redis has not acknowledged a batch within ${dueMs} ms; the status says why: see to that, or raise batchTimeoutMs`,
      );
    return acknowledgedWithin({ dueMs, late, ...(scheduler && { scheduler }) }, published);
  }

  /** Retries with backoff → XADD. */
  function publishTo(
    { keys, publish, confirm }: Lane<P>,
    laneStatus: LaneStatus,
    room: Pick<Observer<boolean>, "next">,
  ): OperatorFunction<Batch<P>, AcknowledgedBatch<P>> {
    const sentMs = new WeakMap<Batch<P>, number>();
    return pipe(
      tap((entries) => watchers.isWatched() && sentMs.set(entries, performance.now())),
      inTime(
        pipe(
          inFlight(publish, { window, resend: retryOf(keys, laneStatus), room }),
          tuning.durability === undefined ? identity : durable(confirm, retryOf(keys, laneStatus), scheduler),
        ),
      ),
      tap((acknowledged) => {
        laneStatus.published();
        spans?.acknowledged(acknowledged.batch);
        if (tuning.deadLetters !== undefined) reportDeadLetters(acknowledged.published, status);
        if (acknowledged.published.length > 0 && watchers.isWatched()) {
          watchers.published(measure(acknowledged, sentMs.get(acknowledged.batch)));
        }
      }),
    );
  }

  const deadLetters = tuning.deadLetters?.stream;
  const name = typeof stream === "string" ? stream : "(computed)";

  function oneLane(keys: LaneKeys): Lanes<P> {
    const replayed = replayReport<P>(name, status.report);
    const only = makeLane(keys, { status, opened: tell(name), replayed: replayed.next });
    const room = new BehaviorSubject(true);
    return {
      opened$: only.opened$.pipe(map(({ position }) => position)),
      tellsOpening: true,
      arrived: undefined,
      publish: pipe(batch({ ...limits, room }), publishTo(only, status, room)),
      safe: map((progress) => ({ left: progress, reached: progress })),
      end: replayed.end,
    };
  }

  /** Each stream has a lane, which is made when an event asks for it, and kept while it is one of the newest. */
  function aLaneEach(): Lanes<P> {
    const statusOf = lanesStatus(status);
    const book = isResuming ? ledgerOf(statusOf("the ledger")) : undefined;
    const replayed = replayReport<P>(name, status.report);
    let made = 0;
    const known = recent(buffer.maxEvents / 2, (key: string) => {
      made += 1;
      return makeLane(laneKeys(key, id), {
        status: statusOf(key),
        opened: made > mostOpenedTold || book !== undefined ? () => {} : tell(key),
        // Of some streams it is over before it is of others.
        replayed: (batch) => batch.events > 0 && replayed.next(batch),
        ...(book && { publishPort: book.guard(connection.publishPort), owner: book.laneOwner() }),
      });
    });
    // What is skipped has no stream, and nothing to publish.
    const publishToStream: PublishTo<P, AcknowledgedBatch<P>> = (key, room) =>
      key === "" ? map(passedOver<P>) : publishTo(known(key), statusOf(key), room);
    const published = byStream(
      {
        limits,
        // At half of the buffer the source pauses: more would not come.
        gathering: {
          maxItems: Math.max(1, buffer.maxEvents / 2),
          maxBytes: Math.max(1, buffer.maxBytes / 2),
        },
        maxLanes: Math.max(1, Math.floor(buffer.maxEvents / 10)),
        nextTurn: (work) => {
          if (scheduler === undefined) setImmediate(work);
          else scheduler.schedule(work);
        },
      },
      publishToStream,
    );
    if (book === undefined) {
      return {
        opened$: EMPTY,
        tellsOpening: false,
        arrived: undefined,
        publish: published,
        safe: map((progress) => ({ left: progress, reached: progress })),
        end: replayed.end,
      };
    }
    return {
      opened$: book.opened$.pipe(map(begin)),
      tellsOpening: true,
      arrived: book.arrived,
      publish: pipe(published, tap(book.acknowledged)),
      safe: pipe(
        tap(({ last: { safe } }) => safe !== undefined && book.reached(safe)),
        heldBack({
          positionOf: ({ safe, position }) => safe ?? (position === undefined ? undefined : book.start()),
          beside: book.beside,
          write: book.write,
          isFull: () => book.moved() > buffer.maxEvents,
          intervalMs: ledgerIntervalMs,
          scheduler,
        }),
        tap(({ reached }) => reached && replayed.end()),
      ),
      end: replayed.end,
    };
  }

  function ledgerOf(ledgerStatus: LaneStatus): Ledger<P> | undefined {
    const { state: key } = computedLaneKeys(id);
    return (
      connection.ledger &&
      ledger({
        store: connection.ledger(key),
        key,
        stateKeyOf: (stream) => laneKeys(stream, id).state,
        positions,
        retry: () =>
          pipe(retryBackoff({ ...retry, failed: ledgerStatus.failed }), tap(ledgerStatus.published)),
        adopt: tuning.adopt,
      })
    );
  }

  function begin({ epoch, position, streamsBack }: Resumption<P>): Option<P> {
    status.report({ state: "opened", stream: name, epoch, position, foreignEntries: 0 });
    if (streamsBack > 0) {
      const message = `Redis has lost acknowledged batches of ${streamsBack} streams: the source is opened before them`;
      status.report({ state: "warning", message });
    }
    return position;
  }

  const isFixed = typeof stream === "string" && !isStreamTemplate(stream) && tuning.partitions === undefined;
  if (isFixed) return oneLane(laneKeys(stream, id, deadLetters));
  return connection.isCluster ? aLaneEach() : oneLane(computedLaneKeys(id, deadLetters));
}

/**
 * Holds acknowledged batches until they are durable; those that come meanwhile wait for the next look
 * together.
 */
function durable<P>(
  confirm: Lane<P>["confirm"],
  resend: MonoTypeOperatorFunction<readonly AcknowledgedBatch<P>[]>,
  scheduler: SchedulerLike | undefined,
): MonoTypeOperatorFunction<AcknowledgedBatch<P>> {
  const room = new BehaviorSubject(true);
  return pipe(
    batch({ maxItems: Number.POSITIVE_INFINITY, room, ...(scheduler === undefined ? {} : { scheduler }) }),
    inFlight(
      (group: readonly AcknowledgedBatch<P>[]) =>
        from(group.slice(-1)).pipe(
          concatMap(confirm),
          map(() => group),
        ),
      { window: 1, room, resend },
    ),
    concatAll(),
  );
}

function unfinishedText(sink: string, { id, items }: UnfinishedTransaction): string {
  return `sink ${sink}: the source ended in the middle of transaction ${id}; its events so far, ${items}, are not published, and come again with the next run. If a filter took out the last one, use keepPositions`;
}

function passedOver<P>(batch: Batch<P>): AcknowledgedBatch<P> {
  return { stream: "", batch, published: [], replayed: 0, stand: nowhere, sequence: 0, entryId: "" };
}

function reportDeadLetters<P>(entries: Batch<P>, status: StatusReporter): void {
  for (const { written, id, position } of entries) {
    if (written.fate === "setAside")
      status.report({ state: "deadLetter", id, position, cause: written.cause });
  }
}

function measure<P>({ batch, published }: AcknowledgedBatch<P>, sentMs = performance.now()) {
  const delivered = published.filter(({ written }) => written.fate === "publish");
  const now = performance.now();
  const arrivedMs = batch[0]?.arrivedMs ?? sentMs;
  return {
    events: delivered.length,
    bytes: delivered.reduce((sum, { written }) => sum + written.bytes, 0),
    latencySeconds: (now - sentMs) / 1000,
    stageSeconds: (now - arrivedMs) / 1000,
  };
}
