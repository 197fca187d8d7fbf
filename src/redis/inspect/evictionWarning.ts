import type { Cluster, Redis } from "ioredis";
import { catchError, defer, EMPTY, filter, from, map, mergeMap, type Observable, of, take } from "rxjs";
import { eventsOf } from "../connect/clientEvents.ts";
import { mastersOf } from "../connect/topology.ts";

/**
 * Looks once at the eviction policy of each master, when they can be reached, and emits a warning if
 * one may evict streams. Without the right to ask it says nothing.
 */
export function evictionWarning(client: Redis | Cluster, where: string): Observable<string> {
  return defer(() => (client.status === "ready" ? of(undefined) : eventsOf(client).ready$)).pipe(
    take(1),
    mergeMap(() => from(mastersOf(client))),
    mergeMap((master) => defer(() => master.info("memory")).pipe(catchError(() => EMPTY))),
    map((info) => /^maxmemory_policy:(allkeys-\S+)/m.exec(info)?.[1]),
    filter((policy) => policy !== undefined),
    take(1),
    map(
      (policy) =>
        `${where} has maxmemory-policy ${policy}, which evicts whole streams when memory is short: set noeviction or a volatile-* policy`,
    ),
  );
}
