import { randomUUID } from "node:crypto";
import {
  BehaviorSubject,
  concatAll,
  concatMap,
  from,
  identity,
  type MonoTypeOperatorFunction,
  map,
  type OperatorFunction,
  pipe,
  type SchedulerLike,
  tap,
} from "rxjs";
import { acknowledgedWithin } from "../operators/acknowledgedWithin.ts";
import { type BatchOptions, batch, type UnfinishedTransaction } from "../operators/batch.ts";
import { inFlight } from "../operators/inFlight.ts";
import { type FailedAttempt, retryBackoff } from "../operators/retryBackoff.ts";
import type { BatchSpans } from "./batchSpans.ts";
import { byStream } from "./byStream.ts";
import type { SinkTuning } from "./config/sinkTuning.ts";
import type { Batch, Entry } from "./entry.ts";
import { type AcknowledgedBatch, type Lane, lane } from "./lane.ts";
import type { Positions } from "./positions.ts";
import type { Connection } from "./redis/connection.ts";
import { computedLaneKeys, type LaneKeys, laneKeys } from "./redis/publisher.ts";
import { type ReplayReport, replayReport } from "./sink/lane/replayReport.ts";
import { isRetryable, sinkError } from "./sinkError.ts";
import type { SinkSettings } from "./sinkOptions.ts";
import type { SinkWatchers } from "./sinkWatchers.ts";
import type { StatusReporter } from "./statusReporter.ts";
import { isStreamTemplate } from "./streamTemplate.ts";

/** All lanes of one subscription. */
export interface Lanes<P> {
  /** The only lane; undefined: each stream has its own, as in a Cluster computed streams have. */
  readonly only: Lane<P> | undefined;
  /** Publishes each entry to its stream: batch → retry with backoff → XADD. */
  readonly publish: OperatorFunction<Entry<P>, AcknowledgedBatch<P>>;
  /** Tells what is left to tell. */
  readonly end: () => void;
}

export interface LanesOptions<T, P> {
  readonly options: SinkSettings<T, P>;
  readonly tuning: SinkTuning;
  readonly positions: Positions<P>;
  readonly connection: Connection;
  readonly status: StatusReporter;
  readonly watchers: SinkWatchers;
  /** Undefined: nobody traces. */
  readonly spans: BatchSpans<P> | undefined;
}

/**
 * Makes the lanes of a sink: one, or where computed streams stand on several servers one for each, as
 * events ask for them.
 */
export function lanes<T, P>({
  options,
  tuning,
  positions,
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
    wake: connection.ready$,
  };

  /** Retries of a lane, as the status and the spans of its batches tell them. */
  function retryOf<A>(keys: LaneKeys): MonoTypeOperatorFunction<A> {
    const next = (attempt: FailedAttempt) => {
      status.failed.next(attempt);
      spans?.retrying(keys, attempt);
    };
    return retryBackoff({ ...retry, failed: { next } });
  }

  const replays: ReplayReport<P>[] = [];

  function openLane(keys: LaneKeys, name: string): Lane<P> {
    const replayed = replayReport<P>(name, status.report);
    replays.push(replayed);
    return lane({
      keys,
      owner,
      adopt: tuning.adopt,
      publisher: connection.publisher,
      positions,
      retry: retryOf(keys),
      opened: (opened) => status.report({ state: "opened", stream: name, ...opened }),
      sending: spans && ((batch, sent) => spans.sent(keys, batch, sent)),
      replayed: replayed.next,
      warned: (message) => status.report({ state: "warning", message }),
    });
  }

  const limits: BatchOptions<Entry<P>> = {
    // A quarter of the buffer at most: one that waits for more than the source may send would wait for `lingerMs`.
    maxItems: Math.max(1, Math.min(batching.maxEvents, Math.floor(buffer.maxEvents / 4))),
    maxBytes: Math.max(1, Math.min(batching.maxBytes, buffer.maxBytes / 4)),
    sizeOf: ({ bytes }) => bytes,
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
      sinkError(
        "BatchTimedOut",
        `sink ${id}: Redis has not acknowledged a batch within ${dueMs} ms; the status says why: see to that, or raise batchTimeoutMs`,
      );
    return acknowledgedWithin({ dueMs, late, ...(scheduler && { scheduler }) }, published);
  }

  /** Retries with backoff → XADD. */
  function publishTo(
    { keys, publish, confirm }: Lane<P>,
    room?: BehaviorSubject<boolean>,
  ): OperatorFunction<Batch<P>, AcknowledgedBatch<P>> {
    const sentMs = new WeakMap<Batch<P>, number>();
    return pipe(
      tap((entries) => watchers.isWatched() && sentMs.set(entries, performance.now())),
      inTime(
        pipe(
          inFlight(publish, { window, resend: retryOf(keys), ...(room && { room }) }),
          tuning.durability === undefined ? identity : durable(confirm, retryOf(keys), scheduler),
        ),
      ),
      tap((acknowledged) => {
        status.published();
        spans?.acknowledged(acknowledged.batch);
        if (tuning.deadLetters !== undefined) reportDeadLetters(acknowledged.published, status);
        if (acknowledged.published.length > 0 && watchers.isWatched()) {
          watchers.published(measure(acknowledged, sentMs.get(acknowledged.batch)));
        }
      }),
    );
  }

  const end = () => {
    for (const replayed of replays) replayed.end();
  };

  const isFixed = typeof stream === "string" && !isStreamTemplate(stream) && tuning.partitions === undefined;
  const deadLetters = tuning.deadLetters?.stream;
  if (connection.isCluster && !isFixed) {
    // At half of the buffer the source pauses: more would not come.
    const gathering = {
      maxItems: Math.max(1, buffer.maxEvents / 2),
      maxBytes: Math.max(1, buffer.maxBytes / 2),
    };
    // What is skipped has no stream, and nothing to publish.
    const publishToStream = (key: string) =>
      key === "" ? map(passedOver<P>) : publishTo(openLane(laneKeys(key, id), key));
    return { only: undefined, publish: byStream(limits, gathering, window, publishToStream), end };
  }
  const only = isFixed
    ? openLane(laneKeys(stream, id, deadLetters), stream)
    : openLane(computedLaneKeys(id, deadLetters), typeof stream === "string" ? stream : "(computed)");
  const room = new BehaviorSubject(true);
  return { only, publish: pipe(batch({ ...limits, room }), publishTo(only, room)), end };
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
  return { stream: "", batch, published: [], replayed: 0, sequence: 0, entryId: "" };
}

function reportDeadLetters<P>(entries: Batch<P>, status: StatusReporter): void {
  for (const { deadLetter, id, position } of entries) {
    if (deadLetter !== undefined) status.report({ state: "deadLetter", id, position, cause: deadLetter });
  }
}

function measure<P>({ batch, published }: AcknowledgedBatch<P>, sentMs = performance.now()) {
  const delivered = published.filter(({ deadLetter }) => deadLetter === undefined);
  const now = performance.now();
  const arrivedMs = batch[0]?.arrivedMs ?? sentMs;
  return {
    events: delivered.length,
    bytes: delivered.reduce((sum, { bytes }) => sum + bytes, 0),
    latencySeconds: (now - sentMs) / 1000,
    stageSeconds: (now - arrivedMs) / 1000,
  };
}
