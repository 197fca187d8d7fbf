import type { ConsumerStatus } from "./consumerStatus.ts";
import type { SinkStatus } from "./status.ts";

/** What a sink or a consumer tells. */
export type AnyStatus = SinkStatus | ConsumerStatus;

/** How much somebody has to care: to see to it is an error, what it gets over by itself a warning. */
export type Level = "debug" | "info" | "warn" | "error";

interface Traits {
  /** What it is there for, what it is doing instead, or what comes beside either. */
  readonly is: "work" | "doing" | "aside";
  readonly level: Level;
}

/** All that a sink can tell. */
export const sinkStates = {
  connecting: { is: "doing", level: "info" },
  opened: { is: "doing", level: "info" },
  publishing: { is: "work", level: "info" },
  retrying: { is: "doing", level: "warn" },
  rewound: { is: "doing", level: "warn" },
  behind: { is: "doing", level: "error" },
  paused: { is: "aside", level: "debug" },
  resumed: { is: "aside", level: "debug" },
  deadLetter: { is: "aside", level: "error" },
  replayed: { is: "aside", level: "info" },
  lost: { is: "aside", level: "error" },
  dropped: { is: "aside", level: "error" },
  warning: { is: "aside", level: "warn" },
  closed: { is: "doing", level: "info" },
} as const satisfies Record<SinkStatus["state"], Traits>;

/** All that a consumer can tell. */
export const consumerStates = {
  connecting: { is: "doing", level: "info" },
  reading: { is: "work", level: "info" },
  draining: { is: "work", level: "info" },
  retrying: { is: "doing", level: "warn" },
  // One of several streams may be opened while others are read.
  opened: { is: "aside", level: "info" },
  gap: { is: "aside", level: "error" },
  claimed: { is: "aside", level: "info" },
  lost: { is: "aside", level: "warn" },
  gone: { is: "aside", level: "warn" },
  deleted: { is: "aside", level: "warn" },
  rejected: { is: "aside", level: "warn" },
  deadLetter: { is: "aside", level: "error" },
  warning: { is: "aside", level: "warn" },
  closed: { is: "doing", level: "info" },
} as const satisfies Record<ConsumerStatus["state"], Traits>;

const states = { ...sinkStates, ...consumerStates };

/** The level of a status: that of its state, but for an end with an error. */
export function levelOf(status: AnyStatus): Level {
  if (status.state === "closed" && status.cause !== undefined) return "error";
  // What both sides tell by this name is another thing.
  return "events" in status && status.state === "lost" ? sinkStates.lost.level : states[status.state].level;
}

/** Whether it does what it is there for. */
export function isWork({ state }: AnyStatus): boolean {
  return states[state].is === "work";
}
