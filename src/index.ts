export type { Flow } from "../operators/flow.ts";
// Their names until 1.0.
export {
  type Blamed,
  type ErrorKind,
  type ErrorTag,
  isRetryable,
  isRxaddError,
  /** @deprecated `isRxaddError` */
  isRxaddError as isSinkError,
  type RxaddError,
  /** @deprecated `RxaddError` */
  type RxaddError as SinkError,
} from "./errors/rxaddError.ts";
export type { ChangeEvent, EventOrigin, Operation, Row, Transaction } from "./event/changeEvent.ts";
export type { Checkpoint } from "./event/checkpoint.ts";
export type { EventAccess, PositionOf } from "./event/eventAccess.ts";
export { isLsn, type Lsn, ordLsn } from "./event/lsn.ts";
export {
  type Positions,
  positionsIn,
  positionsOf,
  type StandardPosition,
  standardPositions,
} from "./event/positions.ts";
export type { RetryOptions } from "./options/retryOptions.ts";
export { type FanOutOptions, type FanOutPolicy, fanOut } from "./pipeline/fanOut.ts";
export { keepPositions, type PositionAccess, Skipped } from "./pipeline/keepPositions.ts";
export { replicate, type SinkFor } from "./pipeline/replicate.ts";
export type { Sink } from "./pipeline/sink.ts";
export type { Source } from "./pipeline/source.ts";
export type { Server } from "./redis/connect/anotherClient.ts";
export type { SentinelCredentials } from "./redis/connect/client.ts";
export type { TlsSettings } from "./redis/connect/tls.ts";
export type { Durability } from "./redis/publish/durability.ts";
export type { TrimOption } from "./redis/publish/trimming.ts";
export { type Envelope, encoderOf } from "./sink/encode/envelope.ts";
export { partitionOf } from "./sink/encode/partition.ts";
export { type RedisSink, redisSink } from "./sink/redisSink.ts";
export type { SinkOptions, SinkSettings } from "./sink/sinkOptions.ts";
export { fromAsyncIterable } from "./sources/fromAsyncIterable.ts";
export { fromIterable } from "./sources/fromIterable.ts";
export { fromReadable } from "./sources/fromReadable.ts";
export type { BatchSpan, BatchSpanOptions, SinkTracer, SpanAttributes } from "./telemetry/sinkTracer.ts";
export type { Status } from "./telemetry/status.ts";
export { type Logger, statusLogger } from "./telemetry/statusLogger.ts";
export type { Watchable } from "./telemetry/watchable.ts";
