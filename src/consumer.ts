// Also here until 1.0: their places are rxadd/admin, rxadd/sources/redis, rxadd/metrics and rxadd/testing.
export * from "./admin/index.ts";
export { type Acknowledged, type AcknowledgeOptions, acknowledge } from "./consumer/acknowledge.ts";
export { type DeduplicateOptions, deduplicate } from "./consumer/deduplicate.ts";
export type { Delivery, Mark, Settler } from "./consumer/delivery.ts";
export { Effects, effects } from "./consumer/effects.ts";
export { groupDeliveries } from "./consumer/groupDeliveries.ts";
export type { GroupOptions, GroupStatusOptions } from "./consumer/groupOptions.ts";
export type { Handled } from "./consumer/handlerOutput.ts";
export { groupStatus } from "./consumer/watchGroup.ts";
export {
  type ConsumerMetrics,
  type ConsumerMetricsOptions,
  consumerMetrics,
} from "./metrics/consumerMetrics.ts";
export type { ReaderOptions } from "./reader/readerOptions.ts";
export { streamEntries } from "./reader/streamEntries.ts";
export type { StreamEntry } from "./reader/streamEntry.ts";
export type { Effect } from "./redis/group/settlement.ts";
export * from "./sources/redis/index.ts";
export type { ConsumerReport } from "./telemetry/consumerReport.ts";
export type { ConsumerStatus } from "./telemetry/consumerStatus.ts";
export type { ConsumerFigures, GroupFigures } from "./telemetry/groupFigures.ts";
export { type MemoryGroup, type MemoryGroupOptions, memoryGroup } from "./testing/fakeGroup.ts";
