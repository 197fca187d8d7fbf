export type { StreamGroup } from "../telemetry/groupFigures.ts";
export { type Claimed, type ClaimOptions, claimEntries } from "./claimEntries.ts";
export { deleteEntries } from "./deleteEntries.ts";
export { createGroup, destroyGroup, type GroupPlace, removeConsumer, setGroup } from "./groups.ts";
export type { StreamOptions } from "./openStream.ts";
export {
  type GroupPending,
  groupPending,
  type PendingEntry,
  type PendingFilter,
  pendingEntries,
} from "./pending.ts";
export { type Redriven, type RedriveOptions, redrive } from "./redrive.ts";
export { streamGroups } from "./streamGroups.ts";
export { type StreamInfo, streamInfo, streamLength } from "./streamInfo.ts";
export { type AcknowledgedTrim, trimAcknowledged } from "./trimAcknowledged.ts";
export { type TrimLimit, type Trimmed, trimStream } from "./trimStream.ts";
