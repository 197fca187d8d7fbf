import type { FailedAttempt } from "../../operators/retryBackoff.ts";
import { isRxaddError } from "../errors/rxaddError.ts";
import type { LaneKeys } from "../redis/publish/publishPort.ts";
import type { BatchSpan, Tracer } from "../telemetry/tracer.ts";
import { type Batch, isDelivered } from "./encode/entry.ts";
import type { SentBatch } from "./lane/numbering.ts";

/** The spans of one subscription's batches, each from its first sending to its acknowledgement. */
export interface BatchSpans<P> {
  /** A batch of a lane is sent for the first time. */
  readonly sent: (lane: LaneKeys, batch: Batch<P>, sent: SentBatch<P>) => void;
  /** What a lane has in flight is sent again. */
  readonly retrying: (lane: LaneKeys, attempt: FailedAttempt) => void;
  readonly acknowledged: (batch: Batch<P>) => void;
  /** The sink ends: with an error, or undefined: it is unsubscribed. */
  readonly ended: (cause?: Error) => void;
}

export interface BatchSpansOptions {
  readonly tracer: Tracer;
  readonly sink: string;
  /** What the sink was told: where a batch goes to several streams, this names them. */
  readonly stream: unknown;
}

/** Starts a span for each batch and ends it, whatever becomes of the batch. */
export function batchSpans<P>({ tracer, sink, stream }: BatchSpansOptions): BatchSpans<P> {
  const open = new Map<Batch<P>, { readonly lane: LaneKeys; readonly span: BatchSpan }>();

  function endAll(last: (span: BatchSpan) => void): void {
    for (const { span } of open.values()) {
      last(span);
      span.end();
    }
    open.clear();
  }

  return {
    sent: (lane, batch, { entries, sequence }) => {
      const destination = lane.stream ?? onlyStreamOf(entries) ?? stream;
      const span = tracer.startSpan("rxadd publish", {
        kind: 3,
        root: true,
        attributes: {
          "messaging.system": "redis",
          "messaging.operation.name": "publish",
          "messaging.operation.type": "send",
          ...(typeof destination === "string" && { "messaging.destination.name": destination }),
          "messaging.batch.message_count": entries.length,
          "rxadd.sink": sink,
          "rxadd.sequence": sequence,
        },
      });
      open.set(batch, { lane, span });
    },
    retrying: (lane, { attempt, delayMs, error }) => {
      const { name, message } = describe(error);
      const attributes = {
        "rxadd.attempt": attempt,
        "rxadd.delay_ms": Math.round(delayMs),
        "error.type": name,
        "error.message": message,
      };
      for (const sent of open.values()) if (sent.lane === lane) sent.span.addEvent("retry", attributes);
    },
    acknowledged: (batch) => {
      open.get(batch)?.span.end();
      open.delete(batch);
    },
    ended: (cause) => endAll(cause === undefined ? unsubscribed : (span) => fail(span, cause)),
  };
}

/** The stream that all of them go to, dead letters apart; undefined: they go to several. */
function onlyStreamOf<P>(entries: Batch<P>): string | undefined {
  const streams = new Set(entries.filter(isDelivered).map(({ stream }) => stream));
  const [first] = streams;
  return streams.size === 1 ? first : undefined;
}

function fail(span: BatchSpan, error: Error): void {
  const described = describe(error);
  span.setAttribute("error.type", described.name);
  span.recordException(described);
  span.setStatus({ code: 2, message: described.message });
}

/** Whether Redis has taken it shows in the next run. */
function unsubscribed(span: BatchSpan): void {
  span.addEvent("unsubscribed");
}

/** An error by the name that tells it from others. */
function describe(error: unknown) {
  if (!(error instanceof Error)) return { name: typeof error, message: String(error) };
  const { message, stack = "" } = error;
  return { name: isRxaddError(error) ? error._tag : error.name, message, stack };
}
