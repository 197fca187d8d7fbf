import { isSome } from "fp-ts/lib/Option.js";
import type { Status } from "../status.ts";

/** What health checks tell of a sink. */
export interface Health {
  /** It works, or works on it: false only once it has ended with an error. */
  readonly isAlive: boolean;
  /** It is connected and Redis takes what it publishes. */
  readonly isReady: boolean;
  readonly state: Status["state"];
  /** Why it is not ready, if there is a reason. */
  readonly cause?: string;
}

/** A sink that has said nothing yet. */
export const initialHealth: Health = { isAlive: true, isReady: false, state: "connecting" };

/** What a status makes of a sink's health. */
export function healthAfter(health: Health, status: Status): Health {
  const { state } = status;
  switch (status.state) {
    case "opened":
    case "publishing":
      return { isAlive: true, isReady: true, state };
    case "connecting":
      return { isAlive: true, isReady: false, state };
    case "retrying":
    case "rewound":
      return { isAlive: true, isReady: false, state, cause: status.cause.message };
    case "closed":
      return isSome(status.cause)
        ? { isAlive: false, isReady: false, state, cause: status.cause.value.message }
        : { isAlive: true, isReady: false, state };
    // These concern the source, or nothing.
    case "paused":
    case "resumed":
    case "warning":
      return health;
  }
}

/** Follows a sink's status: pass it as `status`, and to `serveMetrics`. */
export interface SinkHealth {
  readonly next: (status: Status) => void;
  readonly now: () => Health;
}

/** Makes a {@link SinkHealth}. */
export function sinkHealth(): SinkHealth {
  let health = initialHealth;
  return {
    next: (status) => {
      health = healthAfter(health, status);
    },
    now: () => health,
  };
}
