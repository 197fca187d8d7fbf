export { type Acknowledged, type AcknowledgeOptions, acknowledge } from "./consumer/acknowledge.ts";
export { type AcknowledgeBatchOptions, acknowledgeBatch } from "./consumer/acknowledgeBatch.ts";
export { deadLetter, giveBack, retryIn } from "./consumer/decisions.ts";
export { type DeduplicateOptions, deduplicate } from "./consumer/deduplicate.ts";
export type { Decision, Delivery } from "./consumer/delivery.ts";
export { eachDelivery } from "./consumer/eachDelivery.ts";
export { Effects, effects } from "./consumer/effects.ts";
export { groupDeliveries } from "./consumer/groupDeliveries.ts";
export type { GroupOptions, WatchGroupOptions } from "./consumer/groupOptions.ts";
export type { Handled } from "./consumer/handlerOutput.ts";
export {
  inTransaction,
  type TransactionClient,
  type TransactionOptions,
  type TransactionPool,
} from "./consumer/inTransaction.ts";
export { watchGroup } from "./consumer/watchGroup.ts";
export * from "./consumerOldNames.ts";
export type { StreamEntriesOptions } from "./reader/readerOptions.ts";
export { streamEntries } from "./reader/streamEntries.ts";
export type { StreamEntry } from "./reader/streamEntry.ts";
export type { Effect } from "./redis/group/settlement.ts";
export type { ConsumerObserver } from "./telemetry/consumerObserver.ts";
export type { ConsumerStatus } from "./telemetry/consumerStatus.ts";
export type { ConsumerFigures, GroupFigures } from "./telemetry/groupFigures.ts";
