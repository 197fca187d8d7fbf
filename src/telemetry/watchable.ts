import type { Observable, Unsubscribable } from "rxjs";
import type { RedisFigures } from "./redisFigures.ts";
import type { SinkObserver } from "./sinkObserver.ts";

/** Looks at a server and at streams. */
export interface StreamWatch extends Unsubscribable {
  /** Emits once. Fails with an RxaddError. */
  readonly look: (streams: readonly string[]) => Observable<RedisFigures>;
  /** Errors when trying again cannot help. Never emits. */
  readonly failure$: Observable<never>;
}

/** What can be watched: a sink for one Redis. */
export interface Watchable {
  readonly id: string;
  /** Tells one more observer all that `metrics` is told, and at once how the sink stands. */
  readonly watch: (watcher: SinkObserver) => Unsubscribable;
  /** Opens a connection that looks at streams where the sink publishes; undefined for a Redis in memory. */
  readonly openWatch: () => StreamWatch | undefined;
}
