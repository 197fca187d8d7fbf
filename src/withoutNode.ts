// All of `rxadd` that has no need of Node, for bundles: see the condition `browser` in package.json.
export type { Flow } from "../operators/flow.ts";
export {
  type Blamed,
  type ErrorKind,
  type ErrorTag,
  isRetryable,
  isRxaddError,
  type RxaddError,
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
export * from "./oldNames.ts";
export type { RetryOptions } from "./options/retryOptions.ts";
export { type Commit, type FanOutOptions, fanOut } from "./pipeline/fanOut.ts";
export { keepPositions, type PositionAccess, Skipped } from "./pipeline/keepPositions.ts";
export { type Publisher, type PublishOptions, publisher } from "./pipeline/publisher.ts";
export { type ReplicateOptions, replicate, type SinkFor } from "./pipeline/replicate.ts";
export type { Sink } from "./pipeline/sink.ts";
export { pipeSource, type Source } from "./pipeline/source.ts";
export type { RedisServer } from "./redis/connect/anotherClient.ts";
export type { SentinelOptions } from "./redis/connect/client.ts";
export type { RedisConnection } from "./redis/connect/ownConnection.ts";
export type { TlsOptions } from "./redis/connect/tls.ts";
export type { DurabilityOptions } from "./redis/publish/durability.ts";
export type { TrimOptions } from "./redis/publish/trimming.ts";
export { type Envelope, encoderOf } from "./sink/encode/envelope.ts";
export { partitionOf } from "./sink/encode/partition.ts";
export type { SinkOptions, SinkSettings } from "./sink/sinkOptions.ts";
export { fromAsyncIterable } from "./sources/fromAsyncIterable.ts";
export { fromIterable } from "./sources/fromIterable.ts";
export type { BufferFill, PublishedBatch, SinkObserver } from "./telemetry/sinkObserver.ts";
export type { SinkStatus } from "./telemetry/status.ts";
export { type Logger, type StatusLogger, statusLogger } from "./telemetry/statusLogger.ts";
export type { BatchSpan, BatchSpanOptions, SpanAttributes, Tracer } from "./telemetry/tracer.ts";
export type { Watchable } from "./telemetry/watchable.ts";
