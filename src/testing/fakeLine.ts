import {
  BehaviorSubject,
  defer,
  filter,
  map,
  Observable,
  of,
  pairwise,
  type SchedulerLike,
  Subscription,
  throwError,
} from "rxjs";
import { rxaddError } from "../errors/rxaddError.ts";
import { redisErrorOf } from "../redis/wire/redisError.ts";

const where = "redis://fake";

/** A line to a server in memory, which can be cut. */
export interface FakeLine {
  /** Emits each time that it is there again. */
  readonly back$: Observable<undefined>;
  /** Cuts it, or puts it up. */
  readonly put: (isUp: boolean) => void;
  /** Sends a command, if there is a line to send it on. */
  readonly call: <A>(command: () => A) => Observable<A>;
  /** Sends one that the server may answer later, with one value. */
  readonly ask: <A>(command: () => Observable<A>) => Observable<A>;
}

/** @param latencyMs - from sending a command to its answer */
export function fakeLine(latencyMs: number, scheduler: SchedulerLike): FakeLine {
  const isUp$ = new BehaviorSubject(true);
  const lost$ = isUp$.pipe(filter((isUp) => !isUp));

  /** It is done after half of the latency, whoever still listens, and answered after the other half. */
  function exchange<A>(command: () => Observable<A>): Observable<A> {
    return new Observable((subscriber) => {
      const line = new Subscription();
      line.add(
        lost$.subscribe(() => {
          line.unsubscribe();
          subscriber.error(rxaddError("ConnectionLost", `${where}: Connection is closed.`));
        }),
      );
      line.add(
        scheduler.schedule(() => {
          const answer = (tell: () => void) =>
            line.add(
              scheduler.schedule(() => {
                line.unsubscribe();
                tell();
              }, latencyMs / 2),
            );
          subscriber.add(line);
          line.add(
            command().subscribe({
              next: (value) =>
                answer(() => {
                  subscriber.next(value);
                  subscriber.complete();
                }),
              error: (error) => answer(() => subscriber.error(error)),
            }),
          );
        }, latencyMs / 2),
      );
    });
  }

  function ask<A>(command: () => Observable<A>): Observable<A> {
    return defer(() =>
      isUp$.value
        ? exchange(command)
        : throwError(() => rxaddError("Unreachable", `${where}: connect ECONNREFUSED`)),
    );
  }

  return {
    back$: isUp$.pipe(
      pairwise(),
      filter(([wasUp, isUp]) => !wasUp && isUp),
      map(() => undefined),
    ),
    put: (isUp) => isUp$.next(isUp),
    call: (command) => ask(() => outcomeOf(command)),
    ask,
  };
}

/** Runs a command; its failure is the RxaddError that a sink gets for it. */
export function known<A>(command: () => A): A {
  try {
    return command();
  } catch (error) {
    throw redisErrorOf(error, where);
  }
}

/** Does it now, to be told later. */
function outcomeOf<A>(command: () => A): Observable<A> {
  try {
    return of(known(command));
  } catch (error) {
    return throwError(() => error);
  }
}
