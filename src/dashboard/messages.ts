import type { RedisFigures } from "../telemetry/redisFigures.ts";
import type { History } from "./history.ts";
import type { SinkSnapshot } from "./sinkSnapshot.ts";

/** What a page is told, by the name of its server-sent event. */
export interface Messages {
  /** First: what the charts show of the time before. */
  readonly history: History;
  /** How all sinks stand. */
  readonly sinks: readonly SinkSnapshot[];
  /** How the streams of one sink stand. */
  readonly redis: { readonly sink: string; readonly figures: RedisFigures };
}
