export type { ConsumerObserver } from "../telemetry/consumerObserver.ts";
export type { StreamGroup } from "../telemetry/groupFigures.ts";
export type { RedisFigures, ShownEntry, StreamFigures } from "../telemetry/redisFigures.ts";
export type { PublishedBatch, SinkObserver } from "../telemetry/sinkObserver.ts";
export type { SnapshotProgress } from "../telemetry/snapshotProgress.ts";
export { type ConsumerMetrics, type ConsumerMetricsOptions, consumerMetrics } from "./consumerMetrics.ts";
export { type Health, type HealthObserver, health } from "./health.ts";
export type { MetricsRegistry } from "./metricsRegistry.ts";
export * from "./oldNames.ts";
export { type RedisMetrics, redisMetrics } from "./redisMetrics.ts";
export {
  type MetricsServer,
  type ServeMetricsOptions,
  serveMetrics,
} from "./serveMetrics.ts";
export { type SinkMetricsOptions, sinkMetrics } from "./sinkMetrics.ts";
export { type SnapshotMetrics, type SnapshotMetricsOptions, snapshotMetrics } from "./snapshotMetrics.ts";
