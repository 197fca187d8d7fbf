import { Observable } from "rxjs";
import type { Flow } from "../../../operators/flow.ts";

/** The values of a source that emits at once, given out one after the other and not while `flow` says pause. */
export function pulled<T>(values$: Observable<T>, flow: Observable<Flow>): Observable<T> {
  return new Observable((subscriber) => {
    const values: T[] = [];
    let isPaused = false;
    let isEmitting = false;
    values$.subscribe((value) => values.push(value));

    function emit(): void {
      if (isEmitting) return;
      isEmitting = true;
      for (let next = values.shift(); next !== undefined; next = isPaused ? undefined : values.shift())
        subscriber.next(next);
      isEmitting = false;
      if (values.length === 0) subscriber.complete();
    }

    subscriber.add(
      flow.subscribe((signal) => {
        isPaused = signal === "pause";
        if (!isPaused) emit();
      }),
    );
  });
}
