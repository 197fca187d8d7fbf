import { from, type Observable, type ObservableInput, observable, type ReadableStreamLike } from "rxjs";
import { type Decision, decided, handled, type Verdict } from "./delivery.ts";
import type { Effects } from "./effects.ts";

/** What a handler may give that is waited for; the last of its values counts. */
export type Coming<V> =
  | PromiseLike<V>
  | Observable<V>
  | AsyncIterable<V>
  | IterableIterator<V>
  | ReadableStreamLike<V>
  | readonly V[];

/**
 * What a handler gives: effects or a decision, at once or later, or anything else. A Promise, an Observable, an async
 * iterable, a generator and a list are waited for, and the last of their values counts; whatever else it is, it is done.
 */
export type Handled<R> = Coming<R | Effects | Decision> | Effects | Decision | R;

/** The value of what a handler gives. */
export type ResultOf<H> = Exclude<H extends Coming<infer V> ? V : H, Decision>;

/** The values to come; undefined: it is there at once. */
export function comingOf(output: unknown): Observable<unknown> | undefined {
  if ((typeof output !== "object" && typeof output !== "function") || output === null) return undefined;
  // It is one of those.
  return !(decided in output) && isComing(output) ? from(output as ObservableInput<unknown>) : undefined;
}

function isComing(output: object): boolean {
  return (
    can(output, "then") ||
    Array.isArray(output) ||
    can(output, observable) ||
    can(output, Symbol.asyncIterator) ||
    can(output, "getReader") ||
    // Not a Set or a Map, which `add` and `set` give.
    (can(output, "next") && can(output, Symbol.iterator)) ||
    // One of a copy of RxJS that this one does not know throws: nobody would run it.
    (can(output, "subscribe") && can(output, "pipe"))
  );
}

function can(output: object, method: PropertyKey): boolean {
  return typeof Reflect.get(output, method) === "function";
}

/** What shall become of a delivery whose handler gave this. */
export function verdictOf(output: unknown): Verdict {
  return (isDecision(output) ? output[decided] : undefined) ?? handled;
}

function isDecision(output: unknown): output is Decision {
  return typeof output === "object" && output !== null && decided in output;
}
