export { type Acknowledged, type AcknowledgeOptions, acknowledge, type Handled } from "./acknowledge.ts";
export type { GroupOptions, ReaderOptions } from "./consumerOptions.ts";
export type { ConsumerReport } from "./consumerReport.ts";
export type { ConsumerStatus } from "./consumerStatus.ts";
export { type DeduplicateOptions, deduplicate } from "./deduplicate.ts";
export type { Delivery, Mark, Settler, StreamEntry } from "./delivery.ts";
export { Effects, effects } from "./effects.ts";
export { groupDeliveries } from "./groupDeliveries.ts";
export { type MemoryGroup, type MemoryGroupOptions, memoryGroup } from "./memoryGroup.ts";
