import { NEVER, Observable } from "rxjs";
import type { Flow } from "../../operators/flow.ts";

/**
 * The values of an iterable, pulled synchronously, and not while `flow` says pause.
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

    function pull(): void {
      // A pause and a resume may come while a value is on its way.
      if (isPulling) return;
      isPulling = true;
      try {
        while (!isPaused && !subscriber.closed) {
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
    }

    subscriber.add(() => {
      if (!isDone) values.return?.();
    });
    subscriber.add(
      flow.subscribe((signal) => {
        isPaused = signal === "pause";
        pull();
      }),
    );
    pull();
  });
}
