import { positionText } from "../../telemetry/positionText.ts";
import type { SinkStatus } from "../../telemetry/status.ts";
import type { Entry } from "../encode/entry.ts";

/** What was left out of a batch, being in the stream already. */
export interface Replayed<P> {
  readonly events: number;
  /** The first one for which the source has gone back in this run; undefined: there is none. */
  readonly behind: Entry<P> | undefined;
  /** Where the last one stands. */
  readonly position: P | undefined;
}

/** Adds up what a lane leaves out, and tells it. */
export interface ReplayReport<P> {
  /** Told of each batch. */
  readonly next: (replayed: Replayed<P>) => void;
  /** Tells what was not told yet. */
  readonly end: () => void;
}

/**
 * Tells of a replay once, when it is over: a stream may be read again from its beginning, in thousands of batches. A source that goes
 * back in the middle of a run is told of at once, as what follows may be new events under old positions.
 */
export function replayReport<P>(stream: string, report: (status: SinkStatus) => void): ReplayReport<P> {
  let events = 0;
  let position: P | undefined;
  let isBehind = false;

  function end(): void {
    if (events > 0) report({ state: "replayed", stream, events, position });
    events = 0;
    isBehind = false;
  }

  return {
    next: (replayed) => {
      if (replayed.events === 0) {
        end();
        return;
      }
      events += replayed.events;
      position = replayed.position;
      if (replayed.behind === undefined || isBehind) return;
      isBehind = true;
      const { id, ordinal } = replayed.behind;
      report({
        state: "warning",
        message: `${stream}: the source went back: event ${id ?? ordinal} stands at position ${positionText(replayed.behind.position)}, which had gone by in this run; it counts as sent again and is left out, as is all up to where the source had been. If these are new events, their positions have to increase`,
      });
    },
    end,
  };
}
