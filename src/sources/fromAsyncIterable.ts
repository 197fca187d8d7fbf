import { BehaviorSubject, filter, firstValueFrom, NEVER, Observable } from "rxjs";
import type { Flow } from "../../operators/flow.ts";

/**
 * The values of an iterable or async iterable, pulled one by one and not while `flow` says pause.
 *
 * Errors of the iterable pass through. Unsubscribing calls its `return` at once, also while a value is awaited.
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
    const values = iteratorOf(iterable);
    const state = new BehaviorSubject<Flow>("resume");
    let isDone = false;

    async function pull(): Promise<void> {
      while (!subscriber.closed) {
        if (state.value === "pause") await resumed();
        const { done, value } = await nextValue();
        // It may have come to pause meanwhile.
        if (state.value === "pause") await resumed();
        if (done === true) subscriber.complete();
        else subscriber.next(value);
      }
    }

    async function resumed(): Promise<void> {
      while (state.value === "pause")
        await firstValueFrom(state.pipe(filter((signal) => signal === "resume")));
    }

    /** One that has ended, or failed, is not to be returned. */
    async function nextValue(): Promise<IteratorResult<T>> {
      try {
        const result = await values.next();
        isDone = result.done === true;
        return result;
      } catch (error) {
        isDone = true;
        throw error;
      }
    }

    async function giveBack(): Promise<void> {
      if (!isDone) await values.return?.();
    }

    subscriber.add(
      flow.subscribe({ next: (signal) => state.next(signal), error: (error) => subscriber.error(error) }),
    );
    subscriber.add(() => {
      // Lets a paused loop end.
      state.next("resume");
      // Nobody is left to be told of what it throws.
      giveBack().catch(() => {});
    });
    pull().catch((error) => subscriber.error(error));
  });
}

function iteratorOf<T>(iterable: AsyncIterable<T> | Iterable<T>): AsyncIterator<T> {
  return Symbol.asyncIterator in iterable ? iterable[Symbol.asyncIterator]() : awaited(iterable);
}

/** The values of a plain iterable, which may be promises. */
async function* awaited<T>(iterable: Iterable<T>): AsyncGenerator<T> {
  yield* iterable;
}
