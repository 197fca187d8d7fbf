import type { Observer, Unsubscribable } from "rxjs";
import type { Flow } from "../../operators/flow.ts";
import type { Checkpoint } from "../event/checkpoint.ts";
import { guard } from "./guard.ts";
import { guardedTracer } from "./guardedTracer.ts";
import type { BufferFill, SinkObserver } from "./sinkObserver.ts";
import { sinkStates } from "./states.ts";
import type { Status } from "./status.ts";
import type { Tracer } from "./tracer.ts";

/** All whom a sink tells what it does. What one of them throws ends nothing, and keeps nothing from the others. */
export interface SinkWatchers extends Required<SinkObserver> {
  /** Whether metrics or later ones watch: else nothing needs to be measured. */
  readonly isWatched: () => boolean;
  /** Adds one, and tells it at once how the sink stands. */
  readonly watch: (watcher: SinkObserver) => Unsubscribable;
  readonly flow: (signal: Flow) => void;
  /** Undefined: nobody traces. */
  readonly tracer: Tracer | undefined;
}

/** Those whom the options of a sink name. */
export interface SinkObservers {
  readonly id: string;
  readonly status?: Pick<Observer<Status>, "next">;
  readonly metrics?: SinkObserver;
  readonly flow?: Pick<Observer<Flow>, "next">;
  readonly tracer?: Tracer | undefined;
}

/** Tells each watcher all that the sink reports. */
export function sinkWatchers(observers: SinkObservers): SinkWatchers {
  const watchers = new Set(observers.metrics === undefined ? [] : [observers.metrics]);
  let opened: Status | undefined;
  let state: Status | undefined;
  let fill: BufferFill | undefined;
  let reached: readonly [checkpoint: Checkpoint<unknown>, eventTimeMs: number | undefined] | undefined;

  const guarded = guard((message) => {
    // Whoever has failed may be the one who hears of the status.
    process.emitWarning(`redisSink ${observers.id}: ${message}`, "RxaddWarning");
    if (state?.state !== "closed") report({ state: "warning", message });
  });

  function toldAll(tell: (watcher: SinkObserver) => void): void {
    for (const watcher of watchers) guarded("metrics", () => tell(watcher));
  }

  function report(status: Status): void {
    // Whoever goes on for a sink that was rewound may report its end as well.
    if (status.state === "closed" && state?.state === "closed") return;
    if (status.state === "opened") opened = status;
    if (sinkStates[status.state].is !== "aside") state = status;
    guarded("status", () => observers.status?.next(status));
    toldAll((watcher) => watcher.status(status));
  }

  return {
    isWatched: () => watchers.size > 0,
    watch: (watcher) => {
      watchers.add(watcher);
      guarded("metrics", () => {
        // The state comes last: who waits for it finds the numbers there.
        if (fill !== undefined) watcher.buffered(fill);
        if (reached !== undefined) watcher.checkpoint?.(...reached);
        for (const status of new Set([opened, state])) if (status !== undefined) watcher.status(status);
      });
      return { unsubscribe: () => watchers.delete(watcher) };
    },
    published: (batch) => toldAll((watcher) => watcher.published(batch)),
    buffered: (now) => {
      fill = now;
      toldAll((watcher) => watcher.buffered(now));
    },
    status: report,
    checkpoint: (...now) => {
      reached = now;
      toldAll((watcher) => watcher.checkpoint?.(...now));
    },
    flow: (signal) => guarded("flow", () => observers.flow?.next(signal)),
    tracer: observers.tracer && guardedTracer(observers.tracer, guarded),
  };
}
