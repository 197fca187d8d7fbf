export type { ConsumerReport } from "../telemetry/consumerReport.ts";
export type { StreamGroup } from "../telemetry/groupFigures.ts";
export type { RedisFigures, ShownEntry, StreamFigures } from "../telemetry/redisFigures.ts";
export type { PublishedBatch, SinkMetrics } from "../telemetry/sinkReport.ts";
export { type ConsumerMetrics, type ConsumerMetricsOptions, consumerMetrics } from "./consumerMetrics.ts";
export { type Health, type SinkHealth, sinkHealth } from "./health.ts";
export { type StreamMetrics, streamMetrics } from "./redisMetrics.ts";
export {
  type MetricsServer,
  type ServeMetricsOptions,
  serveMetrics,
} from "./serveMetrics.ts";
export { type SinkMetricsOptions, sinkMetrics } from "./sinkMetrics.ts";
