export * from "../admin/index.ts";
export {
  type ConsumerMetrics,
  type ConsumerMetricsOptions,
  consumerMetrics,
} from "../metrics/consumerMetrics.ts";
export type { ReaderOptions, StreamSourceOptions } from "../reader/readerOptions.ts";
export { streamEntries } from "../reader/streamEntries.ts";
export type { StreamEntry } from "../reader/streamEntry.ts";
export type { Effect } from "../redis/group/settlement.ts";
export {
  entryCopies,
  entryPositions,
  type SourceEntry,
  streamSource,
} from "../sources/redis/streamSource.ts";
export type { ConsumerReport } from "../telemetry/consumerReport.ts";
export type { ConsumerStatus } from "../telemetry/consumerStatus.ts";
export type { ConsumerFigures, GroupFigures } from "../telemetry/groupFigures.ts";
export { type MemoryGroup, type MemoryGroupOptions, memoryGroup } from "../testing/fakeGroup.ts";
export { type Acknowledged, type AcknowledgeOptions, acknowledge, type Handled } from "./acknowledge.ts";
export { type DeduplicateOptions, deduplicate } from "./deduplicate.ts";
export type { Delivery, Mark, Settler } from "./delivery.ts";
export { Effects, effects } from "./effects.ts";
export { groupDeliveries } from "./groupDeliveries.ts";
export type { GroupOptions, GroupStatusOptions } from "./groupOptions.ts";
export { groupStatus } from "./watchGroup.ts";
