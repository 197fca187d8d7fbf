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
export class FakeLine {
  readonly #isUp$ = new BehaviorSubject(true);
  readonly #latencyMs: number;
  readonly #scheduler: SchedulerLike;
  /** Emits each time that it is there again. */
  readonly back$: Observable<undefined> = this.#isUp$.pipe(
    pairwise(),
    filter(([wasUp, isUp]) => !wasUp && isUp),
    map(() => undefined),
  );

  /** @param latencyMs - from sending a command to its answer */
  constructor(latencyMs: number, scheduler: SchedulerLike) {
    this.#latencyMs = latencyMs;
    this.#scheduler = scheduler;
  }

  /** Cuts it, or puts it up. */
  set isUp(isUp: boolean) {
    this.#isUp$.next(isUp);
  }

  /** Sends a command, if there is a line to send it on. */
  call<A>(command: () => A): Observable<A> {
    return defer(() =>
      this.#isUp$.value
        ? this.#exchange(command)
        : throwError(() => rxaddError("Unreachable", `${where}: connect ECONNREFUSED`)),
    );
  }

  /** It is done after half of the latency, whoever still listens, and answered after the other half. */
  #exchange<A>(command: () => A): Observable<A> {
    const half = this.#latencyMs / 2;
    return new Observable((subscriber) => {
      const line = new Subscription();
      line.add(
        this.#isUp$.pipe(filter((isUp) => !isUp)).subscribe(() => {
          line.unsubscribe();
          subscriber.error(rxaddError("ConnectionLost", `${where}: Connection is closed.`));
        }),
      );
      line.add(
        this.#scheduler.schedule(() => {
          const answer$ = outcomeOf(command);
          const answering = this.#scheduler.schedule(() => {
            line.unsubscribe();
            answer$.subscribe(subscriber);
          }, half);
          line.add(answering);
          subscriber.add(line);
        }, half),
      );
    });
  }
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
