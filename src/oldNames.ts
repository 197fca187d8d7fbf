// What `rxadd` has until 1.0 by old names.
export { isRxaddError as isSinkError, type RxaddError as SinkError } from "./errors/rxaddError.ts";
export type { Commit as FanOutPolicy } from "./pipeline/fanOut.ts";
export type { RedisServer as Server } from "./redis/connect/anotherClient.ts";
export type { SentinelOptions as SentinelCredentials } from "./redis/connect/client.ts";
export type { TlsOptions as TlsSettings } from "./redis/connect/tls.ts";
export type { DurabilityOptions as Durability } from "./redis/publish/durability.ts";
export type { TrimOptions as TrimOption } from "./redis/publish/trimming.ts";
export type { SinkStatus as Status } from "./telemetry/status.ts";
export type { Tracer as SinkTracer } from "./telemetry/tracer.ts";
