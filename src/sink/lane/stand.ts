import type { NumberedBatch } from "../../redis/publish/publishPort.ts";
import type { Ahead } from "./replay.ts";

/** Where a lane stands, as its producer state says. */
export type LaneStand = Pick<NumberedBatch, "position" | "ahead">;

/** Of a lane that has nothing. */
export const nowhere: LaneStand = { position: "", ahead: "" };

/** Reads the field `ahead` of a producer state. */
export function aheadOf(text: string): Ahead | undefined {
  const [, events, position] = /^(\d+) (.*)$/s.exec(text) ?? [];
  return events === undefined || position === undefined ? undefined : { events: Number(events), position };
}
