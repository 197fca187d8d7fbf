import {
  BehaviorSubject,
  concatAll,
  concatMap,
  from,
  identity,
  type MonoTypeOperatorFunction,
  map,
  type Observable,
  type Observer,
  type OperatorFunction,
  pipe,
  type SchedulerLike,
  tap,
} from "rxjs";
import { acknowledgedWithin } from "../../../operators/acknowledgedWithin.ts";
import { batch } from "../../../operators/batch.ts";
import { inFlight } from "../../../operators/inFlight.ts";
import { type FailedAttempt, retryBackoff } from "../../../operators/retryBackoff.ts";
import { isRetryable, rxaddError } from "../../errors/rxaddError.ts";
import { ownPosition, type Positions } from "../../event/positions.ts";
import type { Connection } from "../../redis/publish/publishConnection.ts";
import type { LaneKeys } from "../../redis/publish/publishPort.ts";
import type { Reporter } from "../../telemetry/reporter.ts";
import type { SinkWatchers } from "../../telemetry/sinkWatchers.ts";
import type { SinkStatus } from "../../telemetry/status.ts";
import type { BatchSpans } from "../batchSpans.ts";
import { type Batch, isDelivered } from "../encode/entry.ts";
import type { SinkTuning } from "../sinkTuning.ts";
import type { AcknowledgedBatch, Lane } from "./lane.ts";
import type { LaneStatus } from "./lanesStatus.ts";

/** What the lanes of one subscription share. */
export interface Publishing<P> {
  readonly id: string;
  readonly tuning: SinkTuning;
  readonly positions: Positions<P>;
  readonly connection: Connection;
  readonly status: Reporter<SinkStatus>;
  readonly watchers: SinkWatchers;
  /** Undefined: nobody traces. */
  readonly spans: BatchSpans<P> | undefined;
  /** Undefined: the clock. */
  readonly scheduler: SchedulerLike | undefined;
  /** Emits when Redis takes commands again. */
  readonly wake: Observable<unknown>;
}

/** Tries again what may pass; of a lane its spans tell it, too. */
export function again<A, P>(
  { tuning, scheduler, wake, spans }: Publishing<P>,
  { failed }: LaneStatus,
  keys?: LaneKeys,
): MonoTypeOperatorFunction<A> {
  const next = (attempt: FailedAttempt) => {
    failed(attempt);
    if (keys !== undefined) spans?.retrying(keys, attempt);
  };
  const when = { ...tuning.retry, ...(scheduler && { scheduler }) };
  return retryBackoff({ ...when, isRetryable, wake, failed: { next } });
}

/** Publishes a lane's batches: retries with backoff → XADD, until they are as durable as is asked for. */
export function publishTo<P>(
  shared: Publishing<P>,
  { keys, publish, confirm }: Lane<P>,
  laneStatus: LaneStatus,
  room: Pick<Observer<boolean>, "next">,
): OperatorFunction<Batch<P>, AcknowledgedBatch<P>> {
  const { tuning, status, watchers, spans, scheduler } = shared;
  const window = tuning.publish === "multi" ? 1 : tuning.window;
  const sentMs = new WeakMap<Batch<P>, number>();
  return pipe(
    tap((entries) => watchers.isWatched() && sentMs.set(entries, performance.now())),
    inTime(
      shared,
      pipe(
        inFlight(publish, { window, resend: again(shared, laneStatus, keys), room }),
        tuning.durability === undefined
          ? identity
          : durable(confirm, again(shared, laneStatus, keys), scheduler),
      ),
    ),
    tap((acknowledged) => {
      laneStatus.reached();
      spans?.acknowledged(acknowledged.batch);
      if (tuning.deadLetters !== undefined) reportDeadLetters(acknowledged.published, status);
      if (acknowledged.published.length > 0 && watchers.isWatched()) {
        watchers.published(measure(acknowledged, sentMs.get(acknowledged.batch)));
      }
    }),
  );
}

/** Not for longer than `batchTimeoutMs`, if that is given. */
function inTime<P>(
  { id, tuning, scheduler }: Publishing<P>,
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

function reportDeadLetters<P>(entries: Batch<P>, status: Reporter<SinkStatus>): void {
  for (const { cause, id, position } of entries)
    if (cause !== undefined)
      status.report({ state: "deadLetter", id, position: ownPosition(position), cause });
}

function measure<P>({ batch, published }: AcknowledgedBatch<P>, sentMs = performance.now()) {
  const delivered = published.filter(isDelivered);
  const now = performance.now();
  const arrivedMs = batch[0]?.arrivedMs ?? sentMs;
  return {
    events: delivered.length,
    bytes: delivered.reduce((sum, { bytes }) => sum + bytes, 0),
    latencySeconds: (now - sentMs) / 1000,
    stageSeconds: (now - arrivedMs) / 1000,
  };
}
