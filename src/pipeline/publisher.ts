import {
  asyncScheduler,
  concatMap,
  filter,
  firstValueFrom,
  from,
  fromEvent,
  map,
  merge,
  NEVER,
  type Observable,
  Subject,
  share,
  take,
  takeUntil,
  throwError,
} from "rxjs";
import { after } from "../../operators/after.ts";
import { type RxaddError, rxaddError } from "../errors/rxaddError.ts";
import type { Checkpoint } from "../event/checkpoint.ts";
import { duration } from "../options/codecs.ts";
import { decodeOptions, refuseUnknown } from "../options/decodeOptions.ts";
import { optional, Settings } from "../options/settings.ts";
import type { CallableSink } from "./sink.ts";

/** How a call of a {@link Publisher} may be given up. */
export interface PublishOptions {
  /** Its caller waits no more: it rejects with the signal's reason. What was handed over already is published all the same. */
  readonly signal?: AbortSignal | undefined;
}

/** Publishes event by event, for code that waits for each: request handlers, jobs, tests. */
export interface Publisher<T, P> {
  /**
   * Publishes an event; resolves with the checkpoint that it is safe with.
   *
   * Rejects with the {@link RxaddError} of this event where it cannot be published (`EventNotEncodable`, `EventTooLarge`, `StreamUnresolved`,
   * `PositionInvalid`), also where it went to the dead letters; with that of the sink where the sink has ended; with `BufferOverflow`
   * while half of the sink's `buffer` waits for Redis, and with `PublisherClosed` after `close`. None of it concerns another call, but for
   * a position that does not fit those before it: no more can be told apart then, and the sink ends.
   */
  readonly publish: (event: T, options?: PublishOptions) => Promise<Checkpoint<P>>;
  /**
   * Publishes all, in their order, as there is room; resolves with the last checkpoint when all are safe, or with undefined for none.
   * Rejects with the first error of one of them, when the others are published.
   */
  readonly publishAll: (
    events: Iterable<T> | AsyncIterable<T>,
    options?: PublishOptions,
  ) => Promise<Checkpoint<P> | undefined>;
  /**
   * Takes nothing more, and resolves when all that was taken is safe or has been rejected. `withinMs` later it gives up: what waits, and `close` itself, reject with
   * `PublisherClosed`. Default: it waits as long as Redis is away, or as the sink's `closeWithinMs` says.
   */
  readonly close: (options?: { readonly withinMs?: number }) => Promise<void>;
}

const closing = new Settings({
  within_ms: optional(duration, "How long what waits may still take"),
}).inProgram();

/**
 * Makes of a sink what is called for each event and answers when that is safe.
 *
 * ```
 * publish   a-b-----
 * result    ----AB--     A, B: resolved with the checkpoint of their batch
 * ```
 *
 * - **Connects** at once, and holds one connection until `close`, or until the sink ends with an error.
 * - **Order** that of the calls. Calls at one time share a batch.
 * - **Memory** the sink's `buffer`: half of it may wait; see `publish`.
 * - **An event is encoded at the call**: to change it afterwards changes nothing.
 *
 * @example
 * ```ts
 * const orders = publisher(redisSink<Order>({ id: "orders", uri, stream: "orders.events" }));
 * app.post("/orders", async (request, response) => {
 *   const { entryId } = await orders.publish(request.body);
 *   response.status(201).json({ entryId });
 * });
 * process.once("SIGTERM", () => orders.close({ withinMs: 5_000 }));
 * ```
 */
export function publisher<T, P>(sink: CallableSink<T, P>): Publisher<T, P> {
  return new Calls(sink);
}

/** A call that has yet to be answered. */
interface Call<P> {
  readonly resolve: (checkpoint: Checkpoint<P>) => void;
  readonly reject: (reason: unknown) => void;
}

/** Answers each call by the sink's checkpoints, which count events in the order of the calls. */
class Calls<T, P> implements Publisher<T, P> {
  readonly #id: string;
  readonly #events = new Subject<T>();
  /** Those that the sink has, the oldest first, which is its event number `#first`. */
  readonly #calls: Call<P>[] = [];
  #first = 0;
  #isPaused = false;
  /** It hands an event to the sink; what comes meanwhile waits here. */
  #isTaking = false;
  readonly #toTake: { readonly event: T; readonly call: Call<P> }[] = [];
  /** Told when there is room again, or will be none. */
  readonly #goesOn = new Subject<void>();
  /** Why it takes nothing more. */
  #refusal: RxaddError | undefined;
  readonly #giveUp = new Subject<void>();
  readonly #done: Promise<void>;

  constructor(sink: CallableSink<T, P>) {
    this.#id = sink.id;
    const checkpoints$ = this.#events.pipe(
      sink.called({
        refused: (ordinal, error) => this.#calls[ordinal - this.#first]?.reject(error),
        flow: (signal) => {
          this.#isPaused = signal === "pause";
          if (!this.#isPaused) this.#goesOn.next();
        },
      }),
      takeUntil(this.#giveUp),
    );
    this.#done = new Promise((resolve) => {
      const ended = (error: RxaddError) => {
        this.#end(error);
        resolve();
      };
      checkpoints$.subscribe({
        next: (checkpoint) => {
          for (const call of this.#taken(checkpoint.events)) call.resolve(checkpoint);
        },
        error: ended,
        complete: () => ended(this.#closed()),
      });
    });
  }

  publish(event: T, options: PublishOptions = {}): Promise<Checkpoint<P>> {
    return new Promise((resolve, reject) => {
      refuseUnknown("publish", options, { signal: true });
      options.signal?.throwIfAborted();
      const call = until({ resolve, reject }, options.signal);
      if (this.#isTaking) this.#toTake.push({ event, call });
      else this.#takeAll(event, call);
    });
  }

  async publishAll(
    events: Iterable<T> | AsyncIterable<T>,
    options: PublishOptions = {},
  ): Promise<Checkpoint<P> | undefined> {
    refuseUnknown("publishAll", options, { signal: true });
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.#refusal !== undefined) throw this.#refusal;
    const gaveUp$ = signal === undefined ? NEVER : abortOf(signal);
    const refused$ = this.#goesOn.pipe(filter(() => this.#refusal !== undefined));
    const answers = new Answers<P>();
    const taken$ = from(this.#takeEach(events, answers, signal));
    // Its source may hang, and whoever is to answer.
    return firstValueFrom(
      merge(
        merge(taken$, refused$).pipe(
          take(1),
          concatMap(() => answers.all),
          map((last) => {
            if (!answers.isWhole && this.#refusal !== undefined) throw this.#refusal;
            return last;
          }),
        ),
        gaveUp$.pipe(concatMap(() => throwError(() => signal?.reason))),
      ),
    );
  }

  async close(options: { readonly withinMs?: number } = {}): Promise<void> {
    const { withinMs } = decodeOptions(closing, "close", options, []);
    this.#refusal ??= this.#closed();
    this.#goesOn.next();
    let late: RxaddError | undefined;
    const timer = after(withinMs ?? Number.POSITIVE_INFINITY, asyncScheduler, () => {
      const waiting = this.#calls.length;
      const events = waiting === 1 ? "1 event" : `${waiting} events`;
      late = this.#closed(`found ${events} not known to be safe after ${withinMs} ms`);
      this.#end(late);
      this.#giveUp.next();
    });
    this.#events.complete();
    await this.#done;
    timer.unsubscribe();
    if (late !== undefined) throw late;
  }

  /** In their order: what is published from within an encode, or whatever else runs meanwhile, comes after it. */
  #takeAll(event: T, call: Call<P>): void {
    this.#isTaking = true;
    this.#take(event, call);
    for (let next = this.#toTake.shift(); next !== undefined; next = this.#toTake.shift())
      this.#take(next.event, next.call);
    this.#isTaking = false;
  }

  #take(event: T, call: Call<P>): void {
    if (this.#refusal !== undefined) call.reject(this.#refusal);
    else if (this.#isPaused) call.reject(this.#full());
    else {
      this.#calls.push(call);
      this.#events.next(event);
    }
  }

  /** Publishes all as there is room, until it is refused or given up. */
  async #takeEach(
    events: Iterable<T> | AsyncIterable<T>,
    answers: Answers<P>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    for await (const event of events) {
      // Whoever waits for room, too, may have taken it.
      while (this.#isPaused && this.#refusal === undefined) await firstValueFrom(this.#goesOn);
      if (this.#refusal !== undefined || signal?.aborted) return;
      answers.add(this.publish(event));
    }
    answers.isWhole = true;
  }

  #taken(count: number): readonly Call<P>[] {
    this.#first += count;
    return this.#calls.splice(0, count);
  }

  #end(error: RxaddError): void {
    this.#refusal ??= error;
    for (const call of this.#taken(this.#calls.length)) call.reject(error);
    this.#goesOn.next();
  }

  #closed(found = "it takes no more events"): RxaddError {
    return rxaddError("PublisherClosed", `publisher ${this.#id}: closed: ${found}`);
  }

  #full(): RxaddError {
    return rxaddError(
      "BufferOverflow",
      `publisher ${this.#id}: half of the buffer waits for Redis: publish later, as with publishAll, or raise buffer.maxEvents and buffer.maxBytes`,
    );
  }
}

/** What becomes of several calls. */
class Answers<P> {
  /** Whether these are all that there were to be. */
  isWhole = false;
  #last: Checkpoint<P> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #settled: Promise<unknown> = Promise.resolve();

  add(answer: Promise<Checkpoint<P>>): void {
    const before = this.#settled;
    this.#settled = answer
      .then(
        (checkpoint) => {
          this.#last = checkpoint;
        },
        (error) => {
          this.#failure ??= { error };
        },
      )
      // One that is refused is answered before those that wait.
      .then(() => before);
  }

  /** The last one, when all are there; rejects then with the first error. */
  get all(): Promise<Checkpoint<P> | undefined> {
    return this.#settled.then(() => {
      if (this.#failure !== undefined) throw this.#failure.error;
      return this.#last;
    });
  }
}

/** A call that is rejected, too, when a signal says so. */
function until<P>(call: Call<P>, signal: AbortSignal | undefined): Call<P> {
  if (signal === undefined) return call;
  const waiting = abortOf(signal).subscribe(() => call.reject(signal.reason));
  return {
    resolve: (checkpoint) => {
      waiting.unsubscribe();
      call.resolve(checkpoint);
    },
    reject: (reason) => {
      waiting.unsubscribe();
      call.reject(reason);
    },
  };
}

const aborts = new WeakMap<AbortSignal, Observable<unknown>>();

/** Emits when a signal says so, by one listener for all that wait: of more than ten Node warns. */
function abortOf(signal: AbortSignal): Observable<unknown> {
  const abort$ = aborts.get(signal) ?? fromEvent(signal, "abort").pipe(share());
  aborts.set(signal, abort$);
  return abort$;
}
