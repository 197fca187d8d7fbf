import { isRxaddError } from "../../errors/rxaddError.ts";
import type { Reporter } from "../../telemetry/reporter.ts";
import type { SinkStatus } from "../../telemetry/status.ts";

/** What one of several lanes tells. */
export type LaneStatus = Pick<Reporter<SinkStatus>, "failed" | "reached">;

/**
 * Tells what several lanes are doing as if they were one: it publishes while none of them tries again, and of lanes
 * that fail for the same reason only the attempt that none has made before.
 */
export function lanesStatus(status: Reporter<SinkStatus>): (lane: string) => LaneStatus {
  const failing = new Set<string>();
  /** The highest attempt told, by the name of its error. */
  const told = new Map<string, number>();

  return (lane) => ({
    failed: (failed) => {
      const reason = isRxaddError(failed.error) ? failed.error._tag : "";
      failing.add(lane);
      if (failed.attempt <= (told.get(reason) ?? 0)) return;
      told.set(reason, failed.attempt);
      status.failed(failed);
    },
    reached: () => {
      failing.delete(lane);
      if (failing.size > 0) return;
      told.clear();
      status.reached();
    },
  });
}
