export { type AcknowledgedWithinOptions, acknowledgedWithin } from "./acknowledgedWithin.ts";
export { type BatchOptions, batch, type TransactionMark, UnfinishedTransaction } from "./batch.ts";
export { type BoundedBufferOptions, BufferOverflow, boundedBuffer, type Fill } from "./boundedBuffer.ts";
export { checkpoint, type Progress } from "./checkpoint.ts";
export type { Flow } from "./flow.ts";
export { type InFlightOptions, inFlight } from "./inFlight.ts";
export { backoffMs, type FailedAttempt, type RetryBackoffOptions, retryBackoff } from "./retryBackoff.ts";
export { spread } from "./spread.ts";
export { type ToAsyncIterableOptions, toAsyncIterable } from "./toAsyncIterable.ts";
