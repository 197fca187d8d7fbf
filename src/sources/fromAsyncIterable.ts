import { BehaviorSubject, filter, firstValueFrom, NEVER, Observable } from "rxjs";
import type { Flow } from "../../operators/flow.ts";

/**
 * The values of an iterable or async iterable, pulled one by one and not while `flow` says pause.
 *
 * Errors of the iterable pass through; unsubscribing calls its `return`.
 *
 * @example
 * ```ts
 * const flow = new BehaviorSubject<Flow>("resume");
 * fromAsyncIterable(cursor, flow).pipe(redisSink({ id, uri, stream, flow }));
 * ```
 */
export function fromAsyncIterable<T>(
  iterable: AsyncIterable<T> | Iterable<T>,
  flow: Observable<Flow> = NEVER,
): Observable<T> {
  return new Observable((subscriber) => {
    const state = new BehaviorSubject<Flow>("resume");
    subscriber.add(flow.subscribe((signal) => state.next(signal)));
    // Lets a paused loop end when nobody listens any more.
    subscriber.add(() => state.next("resume"));

    async function pull(): Promise<void> {
      for await (const value of iterable) {
        if (state.value === "pause")
          await firstValueFrom(state.pipe(filter((signal) => signal === "resume")));
        if (subscriber.closed) return;
        subscriber.next(value);
      }
      subscriber.complete();
    }
    pull().catch((error) => subscriber.error(error));
  });
}
