import type { Unsubscribable } from "rxjs";
import type { Checkpoint } from "./checkpoint.ts";
import type { BufferFill, SinkMetrics } from "./sinkReport.ts";
import { isAside, type Status } from "./status.ts";

/** All who watch a sink: its metrics, and those who came later. */
export interface SinkWatchers extends Required<SinkMetrics> {
  /** Whether anybody does: else nothing needs to be measured. */
  readonly isWatched: () => boolean;
  /** Adds one, and tells it at once how the sink stands. */
  readonly watch: (watcher: SinkMetrics) => Unsubscribable;
}

/** Tells each watcher all that the sink reports. */
export function sinkWatchers(metrics: SinkMetrics | undefined): SinkWatchers {
  const watchers = new Set(metrics === undefined ? [] : [metrics]);
  let opened: Status | undefined;
  let state: Status | undefined;
  let fill: BufferFill | undefined;
  let reached: readonly [checkpoint: Checkpoint<unknown>, eventTimeMs: number | undefined] | undefined;

  return {
    isWatched: () => watchers.size > 0,
    watch: (watcher) => {
      watchers.add(watcher);
      // The state comes last: who waits for it finds the numbers there.
      if (fill !== undefined) watcher.buffered(fill);
      if (reached !== undefined) watcher.checkpoint?.(...reached);
      for (const status of new Set([opened, state])) if (status !== undefined) watcher.status(status);
      return { unsubscribe: () => watchers.delete(watcher) };
    },
    published: (batch) => {
      for (const watcher of watchers) watcher.published(batch);
    },
    buffered: (now) => {
      fill = now;
      for (const watcher of watchers) watcher.buffered(now);
    },
    status: (status) => {
      if (status.state === "opened") opened = status;
      if (!isAside(status)) state = status;
      for (const watcher of watchers) watcher.status(status);
    },
    checkpoint: (...now) => {
      reached = now;
      for (const watcher of watchers) watcher.checkpoint?.(...now);
    },
  };
}
