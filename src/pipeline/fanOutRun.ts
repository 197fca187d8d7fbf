import {
  asyncScheduler,
  BehaviorSubject,
  distinctUntilChanged,
  Observable,
  type SchedulerLike,
  type Subscriber,
  Subscription,
} from "rxjs";
import type { Flow } from "../../operators/flow.ts";
import type { Checkpoint } from "../event/checkpoint.ts";
import { ownPosition, type Positions, storable } from "../event/positions.ts";
import { FanOutInput } from "./fanOutInput.ts";
import {
  type Command,
  type FanOutRules,
  type FanOutState,
  flowOf,
  type Happening,
  newFanOut,
  step,
} from "./fanOutState.ts";
import { isSkipped, type Skipped } from "./keepPositions.ts";
import type { OpenSource, Sink } from "./sink.ts";

/** What one run of a fan-out goes by. */
export interface FanOutRunOptions<T, P> extends FanOutRules {
  readonly sinks: readonly Sink<T, P>[];
  /** The sinks that count for the checkpoint. */
  readonly voters: readonly Sink<T, P>[];
  readonly source: OpenSource<T, P>;
  /** Those of the source. */
  readonly positions: Positions<P> | undefined;
  /** Whether the source can be opened where the sinks stand. */
  readonly isResuming: boolean;
  readonly maxLateEvents: number;
  readonly scheduler: SchedulerLike | undefined;
}

/** One sink, and what it is given. */
interface Branch<T, P> {
  readonly index: number;
  readonly sink: Sink<T, P>;
  readonly input: FanOutInput<T | Skipped<P>>;
  readonly subscription: Subscription;
}

/** Runs the sinks side by side on one source, as {@link step} says. Events go straight to the sinks. */
export class FanOutRun<T, P> {
  readonly #options: FanOutRunOptions<T, P>;
  readonly #scheduler: SchedulerLike;
  readonly #subscriber: Subscriber<Checkpoint<P>>;
  readonly #branches: readonly Branch<T, P>[];
  readonly #flow = new BehaviorSubject<Flow>("resume");
  readonly #running = new Subscription();
  #waiting = Subscription.EMPTY;
  #state: FanOutState<P>;

  constructor(options: FanOutRunOptions<T, P>, subscriber: Subscriber<Checkpoint<P>>) {
    const { sinks, voters, maxLateEvents, scheduler = asyncScheduler } = options;
    this.#options = options;
    this.#scheduler = scheduler;
    this.#subscriber = subscriber;
    this.#state = newFanOut(
      sinks.map((sink) => ({
        id: sink.id,
        positions: sink.positions ?? storable(options.positions),
        isVoter: voters.includes(sink),
      })),
    );
    const tooMany = `more than ${maxLateEvents} events came before it was reached`;
    this.#branches = sinks.map((sink, index) => ({
      index,
      sink,
      input: new FanOutInput(maxLateEvents, () =>
        this.#happens({ type: "failed", branch: index, error: new Error(tooMany) }),
      ),
      subscription: new Subscription(),
    }));
  }

  /** Returns what ends it. */
  start(): Subscription {
    for (const { subscription } of this.#branches) this.#running.add(subscription);
    for (const branch of this.#branches) {
      const { index, sink } = branch;
      const { isResuming } = this.#options;
      branch.subscription.add(
        (isResuming ? this.#resuming(branch) : sink(this.#inputOf(branch))).subscribe({
          next: (checkpoint) => this.#happens({ type: "acknowledged", branch: index, checkpoint }),
          error: (error) => this.#happens({ type: "failed", branch: index, error }),
          complete: () => this.#happens({ type: "completed", branch: index }),
        }),
      );
      // Events that may not come again go to all sinks at once.
      if (!isResuming) this.#happens({ type: "opened", branch: index, from: undefined });
    }
    return this.#running;
  }

  /** Asks the sink where it stands, and gives it events from there. */
  #resuming(branch: Branch<T, P>): Observable<Checkpoint<P>> {
    const { index, sink } = branch;
    const open: OpenSource<T, P> = (from, flow) => {
      this.#running.add(flow.subscribe((signal) => this.#happens({ type: "flow", branch: index, signal })));
      return new Observable((chain) => {
        chain.add(this.#inputOf(branch).subscribe(chain));
        this.#happens({ type: "opened", branch: index, from });
      });
    };
    return sink.resuming(open, this.#options.positions);
  }

  #inputOf({ index, input }: Branch<T, P>): Observable<T | Skipped<P>> {
    return input.events$(() => this.#happens({ type: "left", branch: index }));
  }

  /** What a source or the user's order of positions throws, ends all. */
  #happens(happening: Happening<P>): void {
    if (this.#subscriber.closed) return;
    try {
      const [state, commands] = step(this.#options, this.#state, happening);
      this.#state = state;
      for (const command of commands) if (!this.#subscriber.closed) this.#perform(command);
    } catch (error) {
      this.#subscriber.error(error);
    }
    this.#flow.next(flowOf(this.#options, this.#state));
  }

  #perform(command: Command<P>): void {
    const branch = "branch" in command ? this.#branches[command.branch] : undefined;
    switch (command.type) {
      case "openSource":
        this.#openSource(command.from, command.reached);
        break;
      case "feed":
        branch?.input.open();
        break;
      case "endInput":
        branch?.input.end();
        break;
      case "listen":
        this.#after(0, { type: "silent", branch: command.branch });
        break;
      case "leave":
        branch?.input.drop();
        branch?.subscription.unsubscribe();
        // The last word, after that it is closed.
        branch?.sink.report({ state: "behind", position: command.at, cause: command.cause });
        break;
      case "emit":
        this.#subscriber.next({
          ...command.checkpoint,
          position: ownPosition(command.checkpoint.position),
        });
        break;
      case "wait":
        this.#waiting.unsubscribe();
        this.#waiting = this.#after(this.#options.patienceMs, { type: "patienceOver" });
        break;
      case "end":
        if (command.failure === undefined) this.#subscriber.complete();
        else this.#subscriber.error(command.failure.error);
        break;
    }
  }

  #after(ms: number, happening: Happening<P>): Subscription {
    const timer = this.#scheduler.schedule(() => this.#happens(happening), ms);
    this.#running.add(timer);
    return timer;
  }

  #openSource(from: P | undefined, reached: P | undefined): void {
    this.#waiting.unsubscribe();
    this.#flow.next(flowOf(this.#options, this.#state));
    let hasBegun = false;
    const events$ = this.#options.source(
      ownPosition(from),
      this.#flow.pipe(distinctUntilChanged()),
      ownPosition(reached),
    );
    this.#running.add(
      events$.subscribe({
        next: (event) => {
          if (!hasBegun) {
            hasBegun = true;
            this.#happens({ type: "begun", at: isSkipped<P>(event) ? event.position : undefined });
          }
          for (const { input } of this.#branches) input.next(event);
        },
        error: (error) => this.#happens({ type: "sourceFailed", error }),
        complete: () => this.#happens({ type: "sourceCompleted" }),
      }),
    );
  }
}
