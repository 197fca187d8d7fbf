import {
  asyncScheduler,
  type MonoTypeOperatorFunction,
  merge,
  NEVER,
  type Observable,
  type Observer,
  retry,
  type SchedulerLike,
  throwError,
  timer,
} from "rxjs";

/** What {@link retryBackoff} tells before it waits. */
export interface FailedAttempt {
  /** The attempt that failed, from 1; counted afresh after a value. */
  readonly attempt: number;
  /** How long until the next one. */
  readonly delayMs: number;
  readonly error: unknown;
}

/** When and how often {@link retryBackoff} tries again. */
export interface RetryBackoffOptions {
  /** Delay before the first retry, in ms. Default 100. */
  readonly initialMs?: number;
  /** Each delay is this many times the one before. Default 2. */
  readonly factor?: number;
  /** Longest delay in ms, jitter included. Default 10,000. */
  readonly maxMs?: number;
  /** How far a delay may stray from its value, as a share of it, 0 to 1. Default 0.2. */
  readonly jitter?: number;
  /** Retries after the first attempt. Default: for ever. */
  readonly maxRetries?: number;
  /** Tells a retryable error from a permanent one, which ends the result. Default: all are. */
  readonly isRetryable?: (error: unknown) => boolean;
  /** A value cuts the wait short: what was waited for may be back. Default: never. */
  readonly wake?: Observable<unknown>;
  /** Told of each failed attempt that will be retried. */
  readonly failed?: Pick<Observer<FailedAttempt>, "next">;
  /** Randomness in [0, 1). Default `Math.random`. */
  readonly random?: () => number;
  /** Default `asyncScheduler`. */
  readonly scheduler?: SchedulerLike;
}

/** The delay before retry number `retry`, from 1, in ms. */
export function backoffMs(
  retry: number,
  {
    initialMs = 100,
    factor = 2,
    maxMs = 10_000,
    jitter = 0.2,
    random = Math.random,
  }: RetryBackoffOptions = {},
): number {
  // Finite: 0 times infinity is no number.
  const growth = Math.min(Number.MAX_VALUE, factor ** (retry - 1));
  const exact = Math.min(maxMs, initialMs * growth);
  return Math.min(maxMs, exact * (1 + jitter * (2 * random() - 1)));
}

/**
 * Subscribes again after an error, with exponentially growing and jittered delays.
 *
 * ```
 * source    -a-#                initialMs 2, factor 2, jitter 0
 *                --#
 *                      -b|
 * result    -a----------b|      after 2 ms, then after 4 ms
 * ```
 *
 * - **Errors** one that is not retryable, or comes after `maxRetries`, passes through as it is.
 * - **Reset** a value starts the count of attempts, and the delays, afresh.
 * - **Teardown** cancels a pending retry.
 *
 * @example
 * ```ts
 * fetch$.pipe(retryBackoff({ maxRetries: 5, isRetryable: (error) => error instanceof TypeError }));
 * ```
 */
export function retryBackoff<T>(options: RetryBackoffOptions = {}): MonoTypeOperatorFunction<T> {
  const {
    maxRetries = Number.POSITIVE_INFINITY,
    isRetryable = () => true,
    wake = NEVER,
    failed,
    scheduler = asyncScheduler,
  } = options;
  return retry({
    resetOnSuccess: true,
    delay: (error, attempt) => {
      if (attempt > maxRetries || !isRetryable(error)) return throwError(() => error);
      const delayMs = backoffMs(attempt, options);
      failed?.next({ attempt, delayMs, error });
      return merge(timer(delayMs, scheduler), wake);
    },
  });
}
