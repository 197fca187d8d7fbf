import { catchError, defer, finalize, type Observable, throwError, type Unsubscribable } from "rxjs";
import type { FailedAttempt, RetryBackoffOptions } from "../../../operators/retryBackoff.ts";
import { isRetryable } from "../../errors/rxaddError.ts";
import { errorOf } from "../../errors/thrown.ts";
import type { RetryOptions } from "../../options/retryOptions.ts";

/** A connection, which goes on by itself when it was lost. */
interface Opened extends Unsubscribable {
  /** Emits each time that Redis takes commands again. */
  readonly ready$: Observable<unknown>;
}

interface SessionOptions<C extends Opened> {
  readonly open: () => C;
  readonly retry: RetryOptions;
  /** Default: nobody is told. */
  readonly reporter?: {
    readonly report: (status: { readonly state: "connecting" }) => void;
    readonly failed: (attempt: FailedAttempt) => void;
    readonly closed: (cause: Error | undefined) => void;
  };
}

/**
 * The life of one subscription: tells that it connects, opens, works, closes at once whatever ends it, and tells that.
 *
 * @param work - what is done meanwhile, and how it is tried again
 */
export function session<C extends Opened, A>(
  { open, retry, reporter }: SessionOptions<C>,
  work: (connection: C, again: RetryBackoffOptions) => Observable<A>,
): Observable<A> {
  return defer(() => {
    reporter?.report({ state: "connecting" });
    const connection = open();
    const failed = reporter && { failed: { next: reporter.failed } };
    const again = { ...retry, isRetryable, wake: connection.ready$, ...failed };
    return work(connection, again).pipe(
      catchError((error) => {
        reporter?.closed(errorOf(error));
        return throwError(() => error);
      }),
      finalize(() => {
        reporter?.closed(undefined);
        connection.unsubscribe();
      }),
    );
  });
}
