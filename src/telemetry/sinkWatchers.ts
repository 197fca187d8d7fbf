import type { Observer, Unsubscribable } from "rxjs";
import type { Flow } from "../../operators/flow.ts";
import type { Checkpoint } from "../event/checkpoint.ts";
import { guardedTracer } from "./guardedTracer.ts";
import { type GivenObservers, Observers, observersIn } from "./observers.ts";
import type { BufferFill, SinkObserver } from "./sinkObserver.ts";
import { sinkStates } from "./states.ts";
import type { SinkStatus } from "./status.ts";
import type { Tracer } from "./tracer.ts";

/** All whom a sink tells what it does. */
export interface SinkWatchers extends Required<SinkObserver> {
  /** Whether somebody hears of batches or checkpoints: else nothing needs to be measured. */
  readonly isWatched: () => boolean;
  /** Adds one, and tells it at once how the sink stands. */
  readonly watch: (watcher: SinkObserver) => Unsubscribable;
  readonly flow: (signal: Flow) => void;
  /** Undefined: nobody traces. */
  readonly tracer: Tracer | undefined;
}

/** Those whom the options of a sink name. */
export interface SinkObservers extends GivenObservers<SinkStatus, SinkObserver> {
  readonly id: string;
  readonly flow?: Pick<Observer<Flow>, "next">;
  readonly tracer?: Tracer | undefined;
}

/** Tells each watcher all that the sink reports. */
export function sinkWatchers(given: SinkObservers): SinkWatchers {
  let opened: SinkStatus | undefined;
  let state: SinkStatus | undefined;
  let fill: BufferFill | undefined;
  let reached: readonly [checkpoint: Checkpoint<unknown>, eventTimeMs: number | undefined] | undefined;

  const watchers = new Observers<SinkObserver>(`redisSink ${given.id}`, observersIn(given), (message) => {
    if (state?.state !== "closed") report({ state: "warning", message });
  });
  const wanted = () => watchers.want("published") || watchers.want("checkpoint");
  // Asked for each event.
  let isWatched = wanted();

  function report(status: SinkStatus): void {
    // Whoever goes on for a sink that was rewound may report its end as well.
    if (status.state === "closed" && state?.state === "closed") return;
    if (status.state === "opened") opened = status;
    if (sinkStates[status.state].is !== "aside") state = status;
    watchers.tell("status", (watcher) => watcher.status?.(status));
  }

  return {
    isWatched: () => isWatched,
    watch: (observer) => {
      const added = watchers.add({ name: "metrics", observer });
      isWatched = wanted();
      watchers.guarded("metrics", () => {
        // The state comes last: who waits for it finds the numbers there.
        if (fill !== undefined) observer.buffered?.(fill);
        if (reached !== undefined) observer.checkpoint?.(...reached);
        for (const status of new Set([opened, state])) if (status !== undefined) observer.status?.(status);
      });
      return {
        unsubscribe: () => {
          added.unsubscribe();
          isWatched = wanted();
        },
      };
    },
    published: (batch) => watchers.tell("published", (watcher) => watcher.published?.(batch)),
    buffered: (now) => {
      fill = now;
      watchers.tell("buffered", (watcher) => watcher.buffered?.(now));
    },
    status: report,
    checkpoint: (...now) => {
      reached = now;
      watchers.tell("checkpoint", (watcher) => watcher.checkpoint?.(...now));
    },
    flow: (signal) => watchers.guarded("flow", () => given.flow?.next(signal)),
    tracer: given.tracer && guardedTracer(given.tracer, watchers.guarded),
  };
}
