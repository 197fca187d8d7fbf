// A stream for each tenant, and tenants that come and go: one consumer for each, while there is that tenant.
import type { Redis } from "ioredis";
import { acknowledge, groupDeliveries } from "rxadd/consumer";
import { filter, groupBy, merge, mergeMap, type Observable, ReplaySubject, share, takeUntil } from "rxjs";

interface Order {
  readonly id: string;
}

export interface Mailer {
  readonly connection: Redis;
  /** All tenants that there are, again and again: what is told by a timer and a query, or by a stream. */
  readonly tenants$: Observable<readonly string[]>;
  readonly mail: (tenant: string, order: Order) => Promise<void>;
  /** Ends all consumers, once what they hold is done. */
  readonly until: Observable<unknown>;
}

export function mailer({ connection, tenants$, mail, until }: Mailer): Observable<unknown> {
  const lists$ = tenants$.pipe(share({ connector: () => new ReplaySubject(1) }));
  const leaves = (tenant: string) => lists$.pipe(filter((list) => !list.includes(tenant)));

  const mailed = (tenant: string) =>
    groupDeliveries<Order>({
      ...{ connection, stream: `orders.${tenant}`, group: "mailer", window: 100 },
      until: merge(leaves(tenant), until),
    }).pipe(acknowledge((order) => mail(tenant, order)));

  return lists$.pipe(
    takeUntil(until),
    mergeMap((tenants) => tenants),
    // One that was there before begins nothing; one that comes back begins anew.
    groupBy((tenant) => tenant, { duration: ({ key }) => leaves(key) }),
    mergeMap(({ key }) => mailed(key)),
  );
}
