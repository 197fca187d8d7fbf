import {
  BehaviorSubject,
  concatMap,
  defer,
  from,
  groupBy,
  mergeMap,
  type Observable,
  type OperatorFunction,
  of,
  tap,
} from "rxjs";
import { type BatchOptions, batch } from "../operators/batch.ts";
import type { Batch, Entry } from "./entry.ts";

/**
 * Publishes each entry to its own stream: gathers entries while `window` batches are in flight, over all
 * streams, and then gives each stream its share of them.
 *
 * ```
 * entries     a1 b1 a2 a3 b2 a4 ...      window 1
 * batches     (a1)-----(a2 a3 a4)        what came while the first was in flight
 *              (b1)-----(b2)
 * ```
 *
 * So a busy sink with 1,000 streams sends batches of ten and not of one, and an idle one waits for nothing.
 */
export function byStream<P, A>(
  limits: BatchOptions<Entry<P>>,
  gathering: Pick<BatchOptions<unknown>, "maxItems" | "maxBytes">,
  window: number,
  publishTo: (stream: string) => OperatorFunction<Batch<P>, A>,
): OperatorFunction<Entry<P>, A> {
  return (entries$) =>
    defer(() => {
      const room = new BehaviorSubject(true);
      let batchesInFlight = 0;

      function count(more: 1 | -1): void {
        batchesInFlight += more;
        const hasRoom = batchesInFlight < window;
        if (hasRoom !== room.value) room.next(hasRoom);
      }

      return entries$.pipe(
        batch({ ...limits, ...gathering, room }),
        concatMap((gathered) => from(sharesOf(gathered)).pipe(mergeMap((share) => batchesOf(share, limits)))),
        tap(() => count(1)),
        groupBy(([entry]) => entry?.stream ?? ""),
        mergeMap((batches$) => batches$.pipe(publishTo(batches$.key))),
        tap(() => count(-1)),
      );
    });
}

/** The entries of each stream, in their order. */
function sharesOf<P>(gathered: Batch<P>): Iterable<Batch<P>> {
  const shares = new Map<string, Entry<P>[]>();
  for (const entry of gathered) {
    const share = shares.get(entry.stream);
    if (share === undefined) shares.set(entry.stream, [entry]);
    else share.push(entry);
  }
  return shares.values();
}

/** Most shares fit into one batch. */
function batchesOf<P>(share: Batch<P>, limits: BatchOptions<Entry<P>>): Observable<Batch<P>> {
  const { maxItems = share.length, maxBytes = Number.POSITIVE_INFINITY, transactionOf } = limits;
  const bytes = share.reduce((sum, entry) => sum + entry.bytes, 0);
  if (share.length <= maxItems && bytes <= maxBytes) return of(share);
  // What is gathered is whole, and its last event may be in the share of another stream.
  const unmarked = (entry: Entry<P>) => {
    const transaction = transactionOf?.(entry);
    return transaction && { id: transaction.id };
  };
  return from(share).pipe(batch({ ...limits, transactionOf: unmarked }));
}
