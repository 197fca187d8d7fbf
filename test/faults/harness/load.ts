import { setTimeout as delay } from "node:timers/promises";
import {
  filter,
  firstValueFrom,
  merge,
  mergeMap,
  type Observable,
  Subject,
  type Subscription,
  throwError,
} from "rxjs";
import {
  type ErrorTag,
  isRxaddError,
  type RxaddError,
  type SinkStatus,
  type Source,
} from "../../../src/index.ts";
import { type Numbered, pacedNumbers } from "../../kit/load/pacedNumbers.ts";

/** What publishes under test: gives back the numbers up to which all is safe. */
export type Writer = (
  source: Source<Numbered, number>,
  status: { next: (status: SinkStatus) => void },
) => Observable<number>;

/** A writer at work, and what it says of itself. */
export interface Load {
  /** Resolves when that many further checkpoints have come. */
  readonly progress: (checkpoints: number) => Promise<void>;
  /** Resolves when the writer has got past that event. */
  readonly reach: (event: number) => Promise<void>;
  /** Resolves at the next such status. */
  readonly status: (isIt: (status: SinkStatus) => boolean) => Promise<SinkStatus>;
  /** Resolves when the writer next retries because of this. */
  readonly retrying: (tag: ErrorTag) => Promise<void>;
  /** Resolves when the writer ends with this error, or has; `start` starts a new one. */
  readonly failed: (tag: ErrorTag) => Promise<RxaddError>;
  /** Ends the writer without a word, as a crash would. */
  readonly crash: () => void;
  /** Starts a writer. */
  readonly start: () => void;
  /** Ends the source, waits until the writer has drained. */
  readonly finish: () => Promise<Outcome>;
  /** The highest event that a checkpoint has covered. */
  readonly safe: () => number;
}

/** What a load did from its first start to its finish. */
export interface Outcome {
  /** Events that the source has emitted: 1 to this. */
  readonly events: number;
  /** The longest time without a checkpoint, in ms. */
  readonly longestStallMs: number;
}

type Ending = { readonly error: unknown } | "completed";

/** Puts a writer under a load of `perTick` events every 5 ms. */
export function startLoad(writer: Writer, perTick: number): Load {
  const statuses = new Subject<SinkStatus>();
  const checkpoints = new Subject<number>();
  const endings = new Subject<Ending>();
  const { source, last, stop } = pacedNumbers(perTick);
  let running: Subscription | undefined;
  let ending: Ending | undefined;
  let count = 0;
  let safe = 0;
  let lastMs = performance.now();
  let longestStallMs = 0;

  function start(): void {
    let before = 0;
    ending = undefined;
    function end(how: Ending): void {
      ending = how;
      endings.next(how);
    }
    running = writer(source, statuses).subscribe({
      next: (position) => {
        // The same again says that more was left out, being in the stream already.
        if (position < before) {
          end({ error: new Error(`checkpoint ${position} came after ${before}`) });
          running?.unsubscribe();
        }
        before = position;
        safe = Math.max(safe, position);
        count += 1;
        longestStallMs = Math.max(longestStallMs, performance.now() - lastMs);
        lastMs = performance.now();
        checkpoints.next(position);
      },
      error: (error: unknown) => end({ error }),
      complete: () => end("completed"),
    });
  }

  /** The first value, unless the writer ends before. */
  async function unlessEnded<A>(value$: Observable<A>): Promise<A> {
    if (ending !== undefined) throw failureOf(ending);
    const ended$ = endings.pipe(mergeMap((how) => throwError(() => failureOf(how))));
    return firstValueFrom(merge(value$, ended$));
  }

  start();
  return {
    progress: async (wanted) => {
      const goal = count + wanted;
      await unlessEnded(checkpoints.pipe(filter(() => count >= goal)));
    },
    reach: async (event) => {
      if (safe < event) await unlessEnded(checkpoints.pipe(filter(() => safe >= event)));
    },
    status: (isIt) => unlessEnded(statuses.pipe(filter(isIt))),
    retrying: async (tag) => {
      await unlessEnded(
        statuses.pipe(filter((status) => status.state === "retrying" && status.cause._tag === tag)),
      );
    },
    failed: async (tag) => {
      const how = ending ?? (await firstValueFrom(endings));
      if (how !== "completed" && isRxaddError(how.error) && how.error._tag === tag) return how.error;
      throw failureOf(how);
    },
    crash: () => running?.unsubscribe(),
    start,
    safe: () => safe,
    finish: async () => {
      const ended = firstValueFrom(endings);
      if (ending !== undefined) throw failureOf(ending);
      stop();
      const how = await ended;
      if (how !== "completed") throw how.error;
      // Let what closes in its own time close.
      await delay(0);
      if (safe !== last()) throw new Error(`the last checkpoint is ${safe}, the last event ${last()}`);
      return { events: last(), longestStallMs: Math.round(longestStallMs) };
    },
  };
}

function failureOf(how: Ending): unknown {
  return how === "completed" ? new Error("the writer completed before its source did") : how.error;
}
