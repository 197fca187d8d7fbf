// What `rxadd/metrics` has until 1.0 by old names.
export type { SinkObserver as SinkMetrics } from "../telemetry/sinkObserver.ts";
export { type HealthObserver as SinkHealth, health as sinkHealth } from "./health.ts";
export { type RedisMetrics as StreamMetrics, redisMetrics as streamMetrics } from "./redisMetrics.ts";
