export type { StreamGroup } from "../telemetry/groupFigures.ts";
export type { RedisFigures, ShownEntry, StreamFigures } from "../telemetry/redisFigures.ts";
export type { StreamWatch } from "../telemetry/watchable.ts";
export { type DashboardOptions, type DashboardServer, dashboard } from "./dashboard.ts";
export { type DashboardHandler, type DashboardHandlerOptions, dashboardHandler } from "./dashboardHandler.ts";
export * from "./oldNames.ts";
export type { Cause, Notice, ReachedCheckpoint, SinkSnapshot, SinkState } from "./sinkSnapshot.ts";
export { type SinkWatch, type WatchOptions, watchSink } from "./watchSink.ts";
