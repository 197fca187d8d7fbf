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
import { longestTimerMs } from "./after.ts";
import { checkNumbers } from "./checkNumber.ts";

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
  /** Delay before the first retry, in ms, 0 or more. Default 100. */
  readonly initialMs?: number;
  /** Each delay is this many times the one before, 1 or more. Default 2. */
  readonly factor?: number;
  /**
   * Longest delay in ms, jitter included, `initialMs` or more. Default 10,000, or `initialMs` if that is longer. More
   * than 2^31 - 1, some 25 days, is that.
   */
  readonly maxMs?: number;
  /** How far a delay may stray from its value, as a share of it, 0 to 1. Default 0.2. */
  readonly jitter?: number;
  /** Retries after the first attempt, 0 or more. Default: for ever. */
  readonly maxRetries?: number;
  /** Tells a retryable error from a permanent one, which ends the result. Default: all are. */
  readonly isRetryable?: (error: unknown) => boolean;
  /** A value cuts the wait short: what was waited for may be back. Default: never. */
  readonly wake?: Observable<unknown>;
  /** Told of each failed attempt that will be retried. */
  readonly failed?: Pick<Observer<FailedAttempt>, "next">;
  /** Randomness from 0 to 1. Default `Math.random`. */
  readonly random?: () => number;
  /** Default `asyncScheduler`. */
  readonly scheduler?: SchedulerLike;
}

type Delays = Required<Pick<RetryBackoffOptions, "initialMs" | "factor" | "maxMs" | "jitter" | "random">>;

/** Fills in the defaults; a policy that cannot be kept throws a `RangeError`. */
function delaysOf(options: RetryBackoffOptions): Delays {
  const { initialMs = 100, factor = 2, jitter = 0.2, random = Math.random } = options;
  checkNumbers("retryBackoff", { initialMs }, 0);
  checkNumbers("retryBackoff", { factor }, 1);
  checkNumbers("retryBackoff", { jitter }, 0, 1);
  const { maxMs = Math.max(10_000, initialMs) } = options;
  checkNumbers("retryBackoff", { maxMs }, initialMs);
  return { initialMs, factor, maxMs: Math.min(maxMs, longestTimerMs), jitter, random };
}

function delayMs(retry: number, { initialMs, factor, maxMs, jitter, random }: Delays): number {
  // Finite: 0 times infinity is no number.
  const growth = Math.min(Number.MAX_VALUE, factor ** Math.max(0, retry - 1));
  const exact = Math.min(maxMs, initialMs * growth);
  const chance = random();
  checkNumbers("retryBackoff", { random: chance }, 0, 1);
  return Math.min(maxMs, exact * (1 + jitter * (2 * chance - 1)));
}

/** The delay before retry number `retry`, from 1, in ms. Throws a `RangeError` where {@link retryBackoff} does. */
export function backoffMs(retry: number, options: RetryBackoffOptions = {}): number {
  checkNumbers("backoffMs", { retry }, 0);
  return delayMs(retry, delaysOf(options));
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
 * - **Errors** one that is not retryable, or comes after `maxRetries`, passes through as it is; so does what a callback
 *   throws, and an error of `wake`. A policy that cannot be kept, such as a `maxMs` below `initialMs`, throws a
 *   `RangeError` at once.
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
  const delays = delaysOf(options);
  checkNumbers("retryBackoff", { maxRetries }, 0);
  return retry({
    resetOnSuccess: true,
    delay: (error, attempt) => {
      if (attempt > maxRetries || !isRetryable(error)) return throwError(() => error);
      const wait = delayMs(attempt, delays);
      failed?.next({ attempt, delayMs: wait, error });
      return merge(timer(wait, scheduler), wake);
    },
  });
}
