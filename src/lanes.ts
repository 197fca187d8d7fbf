import { randomUUID } from "node:crypto";
import {
  BehaviorSubject,
  concatAll,
  concatMap,
  from,
  groupBy,
  identity,
  type MonoTypeOperatorFunction,
  map,
  mergeMap,
  type OperatorFunction,
  pipe,
  tap,
} from "rxjs";
import { batch } from "../operators/batch.ts";
import { inFlight } from "../operators/inFlight.ts";
import { retryBackoff } from "../operators/retryBackoff.ts";
import type { SinkTuning } from "./config/sinkTuning.ts";
import type { Batch, Entry } from "./entry.ts";
import { type AcknowledgedBatch, type Lane, lane } from "./lane.ts";
import type { Positions } from "./positions.ts";
import type { Connection } from "./redis/connection.ts";
import { laneKeys } from "./redis/publisher.ts";
import { isRetryable } from "./sinkError.ts";
import type { SinkSettings } from "./sinkOptions.ts";
import type { StatusReporter } from "./statusReporter.ts";
import { isStreamTemplate } from "./streamTemplate.ts";

/** All lanes of one subscription. */
export interface Lanes<P> {
  /** The only lane, when the stream is not computed from the event. */
  readonly fixed: Lane<P> | undefined;
  /** Publishes each entry to its stream: batch → retry with backoff → XADD. */
  readonly publish: OperatorFunction<Entry<P>, AcknowledgedBatch<P>>;
}

export interface LanesOptions<T, P> {
  readonly options: SinkSettings<T, P>;
  readonly tuning: SinkTuning;
  readonly positions: Positions<P>;
  readonly connection: Connection;
  readonly status: StatusReporter;
}

/** Makes the lanes of a sink: one, or one per stream key as events ask for them. */
export function lanes<T, P>({
  options,
  tuning,
  positions,
  connection,
  status,
}: LanesOptions<T, P>): Lanes<P> {
  const { id, stream, scheduler, metrics } = options;
  const { batch: batching, buffer } = tuning;
  const owner = randomUUID();
  const window = tuning.publish === "pipeline" ? 1 : tuning.window;
  const isFixed = typeof stream === "string" && !isStreamTemplate(stream);
  // A quarter of the buffer: half of it would pause the source in mid-transaction, for ever.
  const maxTransaction = {
    items: buffer.maxEvents / 4,
    bytes: buffer.maxBytes / 4,
  };

  const retry = {
    ...tuning.retry,
    ...(scheduler === undefined ? {} : { scheduler }),
    isRetryable,
    wake: connection.ready$,
    failed: status.failed,
  };

  function openLane(key: string): Lane<P> {
    return lane({
      keys: laneKeys(key, id, isFixed ? tuning.deadLetters?.stream : undefined),
      owner,
      publisher: connection.publisher,
      positions,
      retry: retryBackoff(retry),
      opened: (opened) => status.report({ state: "opened", stream: key, ...opened }),
      warned: (message) => status.report({ state: "warning", message }),
    });
  }

  function publishTo({ publish, confirm }: Lane<P>): OperatorFunction<Entry<P>, AcknowledgedBatch<P>> {
    const room = new BehaviorSubject(true);
    const sentMs = new WeakMap<Batch<P>, number>();
    return pipe(
      batch({
        maxItems: batching.maxEvents,
        maxBytes: batching.maxBytes,
        sizeOf: ({ bytes }) => bytes,
        lingerMs: batching.lingerMs,
        // One of several streams sees only a part of a transaction, and perhaps not its last event.
        transactionOf: ({ transaction }) =>
          isFixed || transaction === undefined ? transaction : { id: transaction.id },
        maxTransactionItems: maxTransaction.items,
        maxTransactionBytes: maxTransaction.bytes,
        room,
        ...(scheduler === undefined ? {} : { scheduler }),
      }),
      tap((entries) => metrics && sentMs.set(entries, performance.now())),
      inFlight(publish, { window, room, resend: retryBackoff(retry) }),
      tuning.durability === undefined ? identity : durable(confirm, retryBackoff(retry)),
      tap((acknowledged) => {
        status.published();
        if (tuning.deadLetters !== undefined) reportDeadLetters(acknowledged.published, status);
        if (acknowledged.published.length > 0) {
          metrics?.published(measure(acknowledged, sentMs.get(acknowledged.batch)));
        }
      }),
    );
  }

  const fixed = isFixed ? openLane(stream) : undefined;
  return {
    fixed,
    publish:
      fixed === undefined
        ? pipe(
            groupBy(({ stream }) => stream),
            mergeMap((entries$) => entries$.pipe(publishTo(openLane(entries$.key)))),
          )
        : publishTo(fixed),
  };
}

/**
 * Holds acknowledged batches until they are durable; those that come meanwhile wait for the next look
 * together.
 */
function durable<P>(
  confirm: Lane<P>["confirm"],
  resend: MonoTypeOperatorFunction<readonly AcknowledgedBatch<P>[]>,
): MonoTypeOperatorFunction<AcknowledgedBatch<P>> {
  const room = new BehaviorSubject(true);
  return pipe(
    batch({ maxItems: Number.POSITIVE_INFINITY, room }),
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

function reportDeadLetters<P>(entries: Batch<P>, status: StatusReporter): void {
  for (const { deadLetter, id, position } of entries) {
    if (deadLetter !== undefined) status.report({ state: "deadLetter", id, position, cause: deadLetter });
  }
}

function measure<P>({ batch, published }: AcknowledgedBatch<P>, sentMs = performance.now()) {
  const delivered = published.filter(({ deadLetter }) => deadLetter === undefined);
  const now = performance.now();
  const arrivedMs = batch[0]?.arrivedMs ?? now;
  return {
    events: delivered.length,
    bytes: delivered.reduce((sum, { bytes }) => sum + bytes, 0),
    latencySeconds: (now - sentMs) / 1000,
    stageSeconds: (now - arrivedMs) / 1000,
  };
}
