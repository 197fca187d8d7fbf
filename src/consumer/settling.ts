import { randomUUID } from "node:crypto";
import {
  BehaviorSubject,
  catchError,
  forkJoin,
  ignoreElements,
  type MonoTypeOperatorFunction,
  map,
  Observable,
  of,
  type Subscriber,
  tap,
  throwError,
} from "rxjs";
import { batch } from "../../operators/batch.ts";
import { inFlight } from "../../operators/inFlight.ts";
import { isRetryable, isRxaddError, type RxaddError, rxaddError } from "../errors/rxaddError.ts";
import { type GroupConnection, isAnswer } from "../redis/group/groupConnection.ts";
import { type Outcome, type Settlement, sizeOf, strays, tagOf } from "../redis/group/settlement.ts";

/** A settlement of one delivery, and who is told of its outcome. */
export type Asked = Settlement & {
  readonly stream: string;
  /** How many marks of the stream are kept. */
  readonly keep: number;
  readonly done: (outcome: Outcome) => void;
};

/** Settles deliveries in the order in which that is asked for. */
export interface Settling {
  readonly ask: (asked: Asked) => void;
  /** Does what is asked for while it is subscribed to; errors when Redis refuses for good. Never emits. */
  readonly run$: Observable<never>;
  /** Nothing is held any more: what is asked for all the same, or has no answer yet, is told as gone. */
  readonly end: () => void;
}

/** What is asked for of one stream and not settled; the token is that of one call, however often it is sent. */
interface Batch {
  readonly stream: string;
  token: string;
  asked: readonly Asked[];
}

/** Most bytes of one call: it is built as a whole, and Redis does nothing else meanwhile. */
const maxBytes = 8 * 1024 * 1024;

const unanswered = rxaddError("Refused", "Redis said nothing of a delivery");

/** Sends what is asked for while one call is in flight with the next one; again, with backoff, after a failure. */
export function settling(
  connection: GroupConnection,
  resend: MonoTypeOperatorFunction<readonly Batch[]>,
): Settling {
  // Subscribed to once: a Subject would make a closure for each delivery.
  let asking: Subscriber<Asked> | undefined;
  const asked$ = new Observable<Asked>((subscriber) => {
    asking = subscriber;
  });
  const room = new BehaviorSubject(true);
  const run = randomUUID();
  let calls = 0;
  let hasEnded = false;
  // What has yet to get into a call, and what is in one.
  let waiting: Asked[] = [];
  const sent = new Set<readonly Batch[]>();

  function newToken(): string {
    calls += 1;
    return `${run}:${calls}`;
  }

  function byStream(asked: readonly Asked[]): Batch[] {
    const [first, ...others] = new Set(asked.map(({ stream }) => stream));
    if (first === undefined) return [];
    if (others.length === 0) return [{ stream: first, token: newToken(), asked }];
    return [first, ...others].map((name) => ({
      stream: name,
      token: newToken(),
      asked: asked.filter(({ stream }) => stream === name),
    }));
  }

  function settle(batch: Batch): Observable<unknown> {
    const { stream, asked, token } = batch;
    const keep = asked.reduce((most, { keep }) => Math.max(most, keep), 0);
    return connection.settle(stream, asked, keep, token).pipe(
      // The group is gone, and with it all that was pending.
      catchError((error) =>
        isAnswer(error, "NOGROUP") ? of(asked.map(() => "gone" as const)) : throwError(() => error),
      ),
      tap((outcomes) => told(batch, outcomes)),
      catchError((error) =>
        isRxaddError(error) && error._tag === "CrossSlot"
          ? withoutStrays(batch, error)
          : throwError(() => error),
      ),
    );
  }

  /** A Cluster refuses the whole call before any of it is done, and does not say whose key stands in another slot. */
  function withoutStrays(batch: Batch, refusal: RxaddError): Observable<unknown> {
    const { stream, asked } = batch;
    const strayed = asked.filter((one) => strays(stream, one));
    if (strayed.length === 0) return throwError(() => refusal);
    batch.asked = asked.filter((one) => !strays(stream, one));
    const advice = `an effect has a key in another slot than ${stream}: give it the same hash tag, {${tagOf(stream)}}`;
    for (const one of strayed) one.done(rxaddError("CrossSlot", advice, refusal));
    return batch.asked.length === 0 ? of(batch) : settle(batch);
  }

  /** Tells the outcomes; what Redis could not do now, and only that, is left to be asked for again. */
  function told(batch: Batch, outcomes: readonly Outcome[]): void {
    const { asked } = batch;
    const again: Asked[] = [];
    let cause: Outcome | undefined;
    batch.asked = again;
    batch.token = newToken();
    let index = 0;
    for (const one of asked) {
      const outcome = outcomes[index] ?? unanswered;
      index += 1;
      if (typeof outcome !== "string" && isRetryable(outcome)) {
        cause = outcome;
        again.push(one);
      } else one.done(outcome);
    }
    if (cause !== undefined) throw cause;
  }

  return {
    ask: (asked) => {
      if (hasEnded) {
        asked.done("gone");
        return;
      }
      waiting.push(asked);
      asking?.next(asked);
    },
    end: () => {
      hasEnded = true;
      const unsettled = [...[...sent].flat().flatMap(({ asked }) => asked), ...waiting];
      sent.clear();
      waiting = [];
      for (const one of unsettled) one.done("gone");
    },
    run$: asked$.pipe(
      batch<Asked>({ maxItems: 1000, maxBytes, sizeOf, room }),
      map((asked) => {
        // A new one: in one that lives long, what is settled would stay alive for long.
        waiting = waiting.slice(asked.length);
        const batches = byStream(asked);
        sent.add(batches);
        return batches;
      }),
      inFlight(
        (batches: Batch[]) => {
          const open = batches.filter(({ asked }) => asked.length > 0);
          return open.length === 0 ? of(batches) : forkJoin(open.map(settle)).pipe(map(() => batches));
        },
        { window: 1, room, resend },
      ),
      tap((batches) => sent.delete(batches)),
      ignoreElements(),
    ),
  };
}
