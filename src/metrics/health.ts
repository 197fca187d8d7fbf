import type { AnyStatus } from "../telemetry/states.ts";

/** What health checks tell of a sink or of a consumer. */
export interface Health {
  /** It works, or works on it: false only once it has ended with an error. */
  readonly alive: boolean;
  /** It is connected, and Redis does as it should. */
  readonly ready: boolean;
  readonly state: AnyStatus["state"];
  /** The message of the error that is in the way, if one is. */
  readonly cause?: string;
}

/** The health of what has said nothing yet. */
export const initialHealth: Health = { alive: true, ready: false, state: "connecting" };

/** What a status makes of a health. */
export function healthAfter(health: Health, status: AnyStatus): Health {
  const { state } = status;
  switch (status.state) {
    case "opened":
    case "publishing":
    case "reading":
    case "draining":
      return { alive: true, ready: true, state };
    case "connecting":
      return { alive: true, ready: false, state };
    case "retrying":
    case "rewound":
    case "behind":
      return { alive: true, ready: false, state, cause: status.cause.message };
    case "closed":
      return status.cause === undefined
        ? { alive: true, ready: false, state }
        : { alive: false, ready: false, state, cause: status.cause.message };
    // These concern the source, single events, or nothing.
    case "paused":
    case "resumed":
    case "warning":
    case "deadLetter":
    case "replayed":
    case "gap":
    case "claimed":
    case "lost":
    case "dropped":
    case "gone":
    case "deleted":
    case "rejected":
      return health;
  }
}

/** Follows the status of a sink or of a consumer for health checks. */
export interface HealthObserver {
  readonly status: (status: AnyStatus) => void;
  readonly next: (status: AnyStatus) => void;
  /** What the statuses so far come to. */
  readonly now: () => Health;
}

/**
 * Makes a {@link HealthObserver}, one of the `observers` of a sink or of a consumer, to pass to `serveMetrics` as well.
 *
 * @example
 * ```ts
 * const ofSink = health();
 * changes$.pipe(redisSink({ id: "orders-redis", uri, stream, observers: [ofSink, statusLogger(log)] }));
 * serveMetrics({ registry, health: [ofSink] }).subscribe();
 * ```
 */
export function health(): HealthObserver {
  let now = initialHealth;
  const status = (next: AnyStatus) => {
    now = healthAfter(now, next);
  };
  return { status, next: status, now: () => now };
}
