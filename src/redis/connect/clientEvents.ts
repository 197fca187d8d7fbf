import type { Cluster, Redis } from "ioredis";
import { fromEvent, merge, type Observable, share } from "rxjs";

/** What a client tells. However many subscribe, it has one listener for each: Node warns of more than ten. */
export interface ClientEvents {
  /** It takes commands. */
  readonly ready$: Observable<unknown>;
  readonly close$: Observable<unknown>;
  /** It will not come back by itself. */
  readonly end$: Observable<unknown>;
  readonly error$: Observable<unknown>;
  /** The same, and the errors of single nodes of a Cluster. */
  readonly errors$: Observable<unknown>;
}

const known = new WeakMap<Redis | Cluster, ClientEvents>();

/** The events of a client, the same for all who ask. */
export function eventsOf(client: Redis | Cluster): ClientEvents {
  const error$ = fromEvent(client, "error").pipe(share());
  const nodeError$ = fromEvent(client, "node error", (error: unknown) => error).pipe(share());
  const events = known.get(client) ?? {
    ready$: fromEvent(client, "ready").pipe(share()),
    close$: fromEvent(client, "close").pipe(share()),
    end$: fromEvent(client, "end").pipe(share()),
    error$,
    errors$: merge(error$, nodeError$),
  };
  known.set(client, events);
  return events;
}
