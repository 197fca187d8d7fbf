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
export function replayReport<P>(
  stream: string,
  isResuming: boolean,
  report: (status: SinkStatus) => void,
): ReplayReport<P> {
  // A source that is opened where the stream stands begins with what is there for good reason.
  let isFirst = !isResuming;
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
      const isBeginning = isFirst;
      isFirst = false;
      if (replayed.events === 0) {
        end();
        return;
      }
      events += replayed.events;
      position = replayed.position;
      if (isBeginning) report({ state: "warning", message: beginsBehind(stream, replayed.events, position) });
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

/** Positions that begin anew with each process look like that: nothing of such a source would ever be published again. */
function beginsBehind(stream: string, events: number, position: unknown): string {
  return `${stream}: the source begins with what stands in the stream already, by its positions: ${events} events up to position ${positionText(position)} are left out, and so is what follows up to where the stream stands. If these are new events, their positions begin anew: give them none, or let replicate open the source`;
}
