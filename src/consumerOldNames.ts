// What `rxadd/consumer` has until 1.0 of rxadd/admin, rxadd/sources/redis and rxadd/testing, and by old names.

export type { ClaimOptions as Claim, StreamOptions as StreamAt } from "./admin/index.ts";
export * from "./admin/index.ts";
export type { WatchGroupOptions as GroupStatusOptions } from "./consumer/groupOptions.ts";
export { watchGroup as groupStatus } from "./consumer/watchGroup.ts";
export type { StreamEntriesOptions as ReaderOptions } from "./reader/readerOptions.ts";
export * from "./sources/redis/index.ts";
export type { ConsumerObserver as ConsumerReport } from "./telemetry/consumerObserver.ts";
export {
  type FakeGroup as MemoryGroup,
  type FakeGroupOptions as MemoryGroupOptions,
  fakeGroup as memoryGroup,
} from "./testing/fakeGroup.ts";
