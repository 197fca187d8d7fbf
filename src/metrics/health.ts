import type { Observer } from "rxjs";
import type { Status } from "../telemetry/status.ts";

/** What health checks tell of a sink. */
export interface Health {
  /** It works, or works on it: false only once it has ended with an error. */
  readonly alive: boolean;
  /** It is connected, and Redis takes what it publishes. */
  readonly ready: boolean;
  readonly state: Status["state"];
  /** The message of the error that is in the way, if one is. */
  readonly cause?: string;
}

/** The health of a sink that has said nothing yet. */
export const initialHealth: Health = { alive: true, ready: false, state: "connecting" };

/** What a status makes of a sink's health. */
export function healthAfter(health: Health, status: Status): Health {
  const { state } = status;
  switch (status.state) {
    case "opened":
    case "publishing":
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
    // These concern the source, or nothing.
    case "paused":
    case "resumed":
    case "warning":
    case "deadLetter":
    case "replayed":
      return health;
  }
}

/** Follows a sink's status for health checks. */
export interface SinkHealth extends Pick<Observer<Status>, "next"> {
  /** What the statuses so far come to. */
  readonly now: () => Health;
}

/**
 * Makes a {@link SinkHealth}, to pass as `status` to a sink and as `health` to `serveMetrics`.
 *
 * @example
 * ```ts
 * const health = sinkHealth();
 * changes$.pipe(redisSink({ id: "orders-redis", uri, stream, status: health }));
 * serveMetrics({ registry, health: [health] }).subscribe();
 * ```
 */
export function sinkHealth(): SinkHealth {
  let health = initialHealth;
  return {
    next: (status) => {
      health = healthAfter(health, status);
    },
    now: () => health,
  };
}
