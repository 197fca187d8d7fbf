import type { RetryBackoffOptions } from "../../operators/retryBackoff.ts";
import { attempts, duration, factor, share } from "./codecs.ts";
import { group, withDefault } from "./settings.ts";

/** How what may pass is tried again. Durations are ms. */
export type RetryOptions = Pick<
  RetryBackoffOptions,
  "initialMs" | "factor" | "maxMs" | "jitter" | "maxRetries"
>;

/** When what failed comes again, however often. */
export type DelayOptions = Omit<RetryOptions, "maxRetries">;

/** A policy that cannot be kept is refused with the others, and not by the first failure. */
function longestIsNoShorter(delays: {
  readonly initialMs: number;
  readonly maxMs: number;
}): string | undefined {
  const { initialMs, maxMs } = delays;
  return initialMs > maxMs
    ? `found a first delay of ${initialMs} ms and a longest of ${maxMs} ms, expected the longest to be no shorter`
    : undefined;
}

function delays(first: string, longestMs: number) {
  return {
    initial_ms: withDefault(duration, 100, first),
    factor: withDefault(factor, 2, "Each delay is this many times the one before"),
    max_ms: withDefault(duration, longestMs, "Longest delay"),
    jitter: withDefault(share, 0.2, "How far a delay strays, as a share of it"),
  };
}

/** The setting `retry` of whatever speaks to Redis. */
export const retry = group(
  {
    ...delays("Delay before the first retry", 10_000),
    max_retries: withDefault(attempts, Number.POSITIVE_INFINITY, "Retries in a row before the sink ends"),
  },
  "What happens when Redis does not take a batch",
  longestIsNoShorter,
);

/** The setting `redelivery`. */
export const redelivery = group(
  delays("Delay before a failed delivery comes again", 60_000),
  "What happens when a handler fails",
  longestIsNoShorter,
);
