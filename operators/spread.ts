import { NEVER, Observable, type OperatorFunction, takeWhile, tap } from "rxjs";
import type { Flow } from "./flow.ts";

/**
 * Emits the items of each list one by one, and none while `flow` says pause: for sources that get many items at once,
 * such as a page of rows, or the lines of a chunk.
 *
 * ```
 * lists     -x-----y---|      x: [a, b, c], y: [d]
 * flow      -P--R-P----R      the first P comes while a is emitted
 * result    -a--(bc)---(d|)
 * ```
 *
 * - **Order** that of the lists, and within each.
 * - **Memory** the rest of a list, and the lists that come while it is paused: let their source heed the same `flow`.
 * - **Completion and errors** come out behind the items before them, also while it is paused; an error of `flow` at once.
 * - **Teardown** drops what waits.
 *
 * @example
 * ```ts
 * pages$(flow).pipe(spread(flow), redisSink({ id, uri, stream, flow }));
 * ```
 */
export function spread<T>(flow: Observable<Flow> = NEVER): OperatorFunction<readonly T[], T> {
  return (lists$) =>
    new Observable((subscriber) => {
      const waiting: (readonly T[])[] = [];
      let list: readonly T[] = [];
      let next = 0;
      let end: { readonly error?: unknown } | undefined;
      let isPaused = false;
      let isEmitting = false;

      /** Emits as far as it goes: a loop, as an item may pause and resume. */
      function emit(): void {
        if (isEmitting) return;
        isEmitting = true;
        while (!isPaused && !subscriber.closed && (emitItem() || openList())) {}
        isEmitting = false;
        if (isPaused || end === undefined) return;
        if ("error" in end) subscriber.error(end.error);
        else subscriber.complete();
      }

      function emitItem(): boolean {
        if (next >= list.length) return false;
        next += 1;
        // There is one: it may be undefined.
        subscriber.next(list[next - 1] as T);
        return true;
      }

      function openList(): boolean {
        const following = waiting.shift();
        list = following ?? [];
        next = 0;
        return following !== undefined;
      }

      // Twice, before and after the lists: a pause that an item brings about has to be the last word that their source hears.
      subscriber.add(
        flow.subscribe({
          next: (signal) => {
            isPaused = signal === "pause";
          },
          error: (error) => subscriber.error(error),
        }),
      );
      subscriber.add(
        lists$
          .pipe(
            takeWhile(() => !subscriber.closed),
            tap((list) => {
              waiting.push(list);
              emit();
            }),
          )
          .subscribe({
            error: (error) => {
              end = { error };
              emit();
            },
            complete: () => {
              end = {};
              emit();
            },
          }),
      );
      subscriber.add(
        flow.subscribe({
          next: (signal) => {
            if (signal === "resume") emit();
          },
          error: () => {},
        }),
      );
    });
}
