import { Registry } from "prom-client";

/** A registry of prom-client, known by what is used of it: any from version 14 on, of whichever copy of the package. */
export interface MetricsRegistry {
  /** What `metrics` resolves with, for the HTTP header. */
  readonly contentType: string;
  /** All that is registered, as text. */
  metrics(): Promise<string>;
  getSingleMetric(name: string): unknown;
  registerMetric(metric: object): void;
}

/** The caller's registry, or a new one: never the global one. */
export function registryOf(given?: MetricsRegistry): Registry {
  // One of another copy takes our metrics as well.
  return (given as Registry | undefined) ?? new Registry();
}
