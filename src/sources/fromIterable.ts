import { NEVER, Observable } from "rxjs";
import type { Flow } from "../../operators/flow.ts";

/** After so many values the event loop has a turn, so that a sink's answers do not wait for the next pause. */
const valuesPerTurn = 500;

/**
 * The values of an iterable, pulled as fast as they are taken, and not while `flow` says pause.
 *
 * Errors of the iterable pass through; unsubscribing calls its `return`.
 *
 * @example
 * ```ts
 * const flow = new BehaviorSubject<Flow>("resume");
 * fromIterable(rows, flow).pipe(redisSink({ id, uri, stream, flow }));
 * ```
 */
export function fromIterable<T>(iterable: Iterable<T>, flow: Observable<Flow> = NEVER): Observable<T> {
  return new Observable((subscriber) => {
    const values = iterable[Symbol.iterator]();
    let isPaused = false;
    let isPulling = false;
    let isDone = false;
    let nextTurn: NodeJS.Immediate | undefined;

    function pull(): void {
      // A pause and a resume may come while a value is on its way.
      if (isPulling) return;
      isPulling = true;
      nextTurn = undefined;
      try {
        for (let left = valuesPerTurn; left > 0 && !isPaused && !subscriber.closed; left -= 1) {
          const { done, value } = values.next();
          isDone = done === true;
          if (isDone) subscriber.complete();
          else subscriber.next(value);
        }
      } catch (error) {
        isDone = true;
        subscriber.error(error);
      }
      isPulling = false;
      if (!isPaused && !subscriber.closed) nextTurn = setImmediate(pull);
    }

    subscriber.add(() => {
      clearImmediate(nextTurn);
      if (!isDone) values.return?.();
    });
    /** One loop at a time: the next turn has it. */
    function goOn(): void {
      if (nextTurn === undefined && !isPaused && !subscriber.closed) pull();
    }

    subscriber.add(
      flow.subscribe({
        next: (signal) => {
          isPaused = signal === "pause";
          goOn();
        },
        error: (error) => subscriber.error(error),
      }),
    );
    goOn();
  });
}
