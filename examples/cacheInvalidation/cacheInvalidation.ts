// Products are read through a cache in Redis; each change of one in the database takes it out of there.
// Whoever dies, no change is forgotten: it stays with the group until the step that takes the product out acknowledges it.
import type { Redis } from "ioredis";
import { acknowledge, type Effects, effects, groupDeliveries } from "rxadd/consumer";
import { concatMap, defer, fromEvent, mergeMap, NEVER, type Observable, of, timeout } from "rxjs";

/** A row of the table of products. */
export interface Product {
  readonly id: number;
  readonly name: string;
}

interface ProductChange {
  readonly before: Product | null;
  readonly after: Product | null;
}

// In a Cluster it stands in the slot of the stream.
const keyOf = (id: number) => `{products.events}:cached:${id}`;
const changed = "changed";

/** Takes what has changed out of the cache, and emits its id; runs in as many processes as you like. */
export function cacheInvalidation(uri: string, until: Observable<unknown> = NEVER): Observable<number> {
  return groupDeliveries<ProductChange>({ uri, stream: "products.events", group: "cache", until }).pipe(
    acknowledge(takeOut, { concurrency: 100 }),
    mergeMap(({ delivery }) => idsOf(delivery.event)),
  );
}

/** Reads products from the cache, or else from the database, and then keeps them for an hour. */
export function cachedProducts(
  redis: Redis,
  read: (id: number) => Promise<Product>,
): (id: number) => Observable<Product> {
  const readAndKeep = (id: number) =>
    defer(() => read(id)).pipe(
      // Well before a mark that was made meanwhile is gone.
      timeout(2_000),
      concatMap(async (product) => {
        await redis.set(keyOf(id), JSON.stringify(product), "EX", 3_600, "NX");
        return product;
      }),
    );
  return (id) =>
    defer(() => redis.get(keyOf(id))).pipe(
      concatMap((found) =>
        found === null || found === changed ? readAndKeep(id) : of<Product>(JSON.parse(found)),
      ),
    );
}

/** Leaves a mark for ten seconds, so that nobody puts back what they had read before the change. */
function takeOut(change: ProductChange): Effects {
  return effects(...idsOf(change).map((id) => ["SET", keyOf(id), changed, "EX", 10] as const));
}

function idsOf({ before, after }: ProductChange): readonly number[] {
  return [...new Set([before, after].flatMap((row) => row?.id ?? []))];
}

if (process.argv[1] === import.meta.filename) {
  const uri = process.env.REDIS_URI ?? "redis://localhost:6379";
  cacheInvalidation(uri, fromEvent(process, "SIGINT")).subscribe((id) =>
    console.log(`product ${id} has changed`),
  );
}
