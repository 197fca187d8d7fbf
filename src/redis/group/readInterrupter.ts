import type { Cluster, Redis } from "ioredis";
import {
  catchError,
  EMPTY,
  from,
  fromEvent,
  merge,
  startWith,
  switchMap,
  tap,
  type Unsubscribable,
} from "rxjs";
import type { Link } from "../connect/link.ts";
import { isCluster } from "../connect/topology.ts";

export interface ReadInterrupter extends Unsubscribable {
  /** Ends a read that waits for entries; those that it has got already come all the same. */
  readonly interrupt: () => void;
}

/** Interrupts what waits on one connection by way of another one. A Cluster's reads end by themselves. */
export function readInterrupter({ client: reader, ready$ }: Link, other: Redis | Cluster): ReadInterrupter {
  if (isCluster(reader) || isCluster(other)) return { interrupt: () => {}, unsubscribe: () => {} };
  // Whom to interrupt; another one after each reconnect, and nobody until it has said its name.
  let clientId: number | undefined;
  const watching = merge(ready$, fromEvent(reader, "close"))
    .pipe(
      startWith(undefined),
      tap(() => {
        clientId = undefined;
      }),
      switchMap(() =>
        reader.status === "ready" ? from(reader.client("ID")).pipe(catchError(() => EMPTY)) : EMPTY,
      ),
    )
    .subscribe((id) => {
      clientId = Number(id);
    });
  return {
    interrupt: () => {
      // Without the right to it, the read ends when its time is over.
      if (clientId !== undefined) other.client("UNBLOCK", clientId).catch(() => {});
    },
    unsubscribe: () => watching.unsubscribe(),
  };
}
