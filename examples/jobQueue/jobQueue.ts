// Each new order is a job, such as a mail to send: workers share the jobs, and a new one takes over from one that died.
// A job is acknowledged when it is done, so none is lost; one may be done twice, which the work has to bear.
import { acknowledge, groupDeliveries } from "rxadd/consumer";
import {
  concatMap,
  defer,
  from,
  fromEvent,
  mergeMap,
  type Observable,
  type ObservableInput,
  tap,
  timer,
} from "rxjs";

/** A row of the table of orders. */
export interface Order {
  readonly id: number;
  readonly item: string;
}

interface OrderChange {
  readonly op: string;
  readonly after: Order | null;
}

/** How a worker works. */
export interface Worker {
  /** Where Redis is. */
  readonly uri: string;
  /** Does a job; it is done when this completes or resolves. One that fails five times goes to `orders.dead`. */
  readonly work: (order: Order) => ObservableInput<unknown>;
  /** Finishes what it has taken once this emits, then completes. */
  readonly until?: Observable<unknown>;
  /** A worker that gives no sign of life for so many ms is dead, and others do its jobs. Default 10,000. */
  readonly claimIdleMs?: number;
}

/** Works on four jobs at a time, and emits what is done; runs in as many processes as the work takes. */
export function jobQueue({ work, claimIdleMs = 10_000, ...where }: Worker): Observable<Order> {
  return groupDeliveries<OrderChange>({
    ...where,
    stream: "orders.events",
    group: "workers",
    claimIdleMs,
    // Few, so that one worker does not keep the jobs on which others could work.
    window: 8,
    deadLetters: { stream: "orders.dead" },
  }).pipe(
    acknowledge((change) => from(jobsOf(change)).pipe(concatMap(work)), { concurrency: 4 }),
    mergeMap(({ delivery }) => jobsOf(delivery.event)),
  );
}

/** Only a new order is a job. */
function jobsOf({ op, after }: OrderChange): readonly Order[] {
  return op === "c" && after !== null ? [after] : [];
}

if (process.argv[1] === import.meta.filename) {
  const uri = process.env.REDIS_URI ?? "redis://localhost:6379";
  const mail = ({ id, item }: Order) =>
    defer(() => {
      console.log(`mailing order ${id}: ${item}`);
      return timer(200).pipe(tap(() => console.log(`order ${id} is mailed`)));
    });
  jobQueue({ uri, work: mail, until: fromEvent(process, "SIGINT") }).subscribe();
}
