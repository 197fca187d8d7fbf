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
import { type GroupConnection, isAnswer } from "../redis/groupConnection.ts";
import type { Outcome, Settlement } from "../redis/settlement.ts";

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
}

type Answered = readonly Outcome[];

/** Sends what is asked for while one call is in flight with the next one; again, with backoff, after a failure. */
export function settling(
  connection: GroupConnection,
  resend: MonoTypeOperatorFunction<readonly [readonly Asked[], Answered]>,
): Settling {
  // Subscribed to once: a Subject would make a closure for each delivery.
  let asking: Subscriber<Asked> | undefined;
  const asked$ = new Observable<Asked>((subscriber) => {
    asking = subscriber;
  });
  const room = new BehaviorSubject(true);

  function settle(stream: string, asked: readonly Asked[]): Observable<Answered> {
    const keep = asked.reduce((most, { keep }) => Math.max(most, keep), 0);
    return connection.settle(stream, asked, keep).pipe(
      // Group and stream are gone: so is what was pending.
      catchError((error) =>
        isAnswer(error, "NOGROUP") ? of(asked.map(() => "lost" as const)) : throwError(() => error),
      ),
    );
  }

  function settleAll(asked: readonly Asked[]): Observable<readonly [readonly Asked[], Answered]> {
    const [first, ...others] = new Set(asked.map(({ stream }) => stream));
    if (first !== undefined && others.length === 0)
      return settle(first, asked).pipe(map((answered) => [asked, answered]));
    const streams = first === undefined ? [] : [first, ...others];
    const sorted = streams.map((name) => asked.filter(({ stream }) => stream === name));
    return forkJoin(streams.map((stream, index) => settle(stream, sorted[index] ?? []))).pipe(
      map((answered) => [sorted.flat(), answered.flat()]),
    );
  }

  return {
    ask: (asked) => asking?.next(asked),
    run$: asked$.pipe(
      batch({ maxItems: 1000, room }),
      inFlight(settleAll, { window: 1, room, resend }),
      tap(([asked, answered]) => {
        for (const [index, { done }] of asked.entries()) done(answered[index] ?? "settled");
      }),
      ignoreElements(),
    ),
  };
}
