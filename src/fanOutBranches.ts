import { isSome, none, type Option, some } from "fp-ts/lib/Option.js";
import {
  asyncScheduler,
  BehaviorSubject,
  distinctUntilChanged,
  Observable,
  type SchedulerLike,
  Subject,
  type Subscriber,
  Subscription,
} from "rxjs";
import type { Flow } from "../operators/flow.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { OpenSource } from "./fanOut.ts";
import type { Skipped } from "./keepPositions.ts";
import type { Positions } from "./positions.ts";
import type { Sink } from "./redisSink.ts";
import { isSinkError, sinkError } from "./sinkError.ts";

/** What one run of a fan-out goes by. */
export interface BranchesOptions<T, P> {
  readonly sinks: readonly Sink<T, P>[];
  /** The sinks that count for the checkpoint. */
  readonly voters: readonly Sink<T, P>[];
  /** How many of them have to have an event. */
  readonly votes: number;
  readonly source: OpenSource<T, P>;
  /** Whether the source can be opened where the sinks stand. */
  readonly isResuming: boolean;
  readonly patienceMs: number;
  readonly maxLateEvents: number;
  readonly scheduler: SchedulerLike | undefined;
}

/** One sink, and how far it is. */
interface Branch<T, P> {
  readonly sink: Sink<T, P>;
  /** It may stop the others. */
  readonly isVoter: boolean;
  readonly input: Subject<T | Skipped<P>>;
  /** What came before it was open. */
  readonly late: (T | Skipped<P>)[];
  state: "opening" | "running" | "behind" | "done";
  from: Option<P>;
  isPaused: boolean;
  /** How many events it has, counted from where the source began. */
  safe: number;
  newest: Checkpoint<P> | undefined;
  subscription: Subscription;
}

/** Runs the sinks side by side on one source; returns what ends them. */
export function branches<T, P>(
  {
    sinks,
    voters,
    votes,
    source,
    isResuming,
    patienceMs,
    maxLateEvents,
    scheduler = asyncScheduler,
  }: BranchesOptions<T, P>,
  subscriber: Subscriber<Checkpoint<P>>,
): Subscription {
  const all = sinks.map((sink) => newBranch(sink, voters.includes(sink)));
  const flow = new BehaviorSubject<Flow>("resume");
  const running = new Subscription();
  let start: Option<P> = none;
  let isOpen = false;
  let isDrained = false;
  let emitted = 0;
  /** Of the source. */
  let failure: Option<unknown> = none;
  let waiting: Subscription | undefined;

  const needed = () => all.filter(({ isVoter }) => isVoter);

  function open(branch: Branch<T, P>, checkpoints$: Observable<Checkpoint<P>>): void {
    branch.subscription = checkpoints$.subscribe({
      next: (checkpoint) => acknowledged(branch, checkpoint),
      error: (error) => failed(branch, error),
      complete: () => completed(branch),
    });
    running.add(branch.subscription);
    if (branch.state === "behind") branch.subscription.unsubscribe();
  }

  /** Asks the sink where it stands, and gives it events from there. */
  function resuming(branch: Branch<T, P>): Observable<Checkpoint<P>> {
    return branch.sink.resuming((from, itsFlow) => {
      branch.from = from;
      if (branch.isVoter) running.add(itsFlow.subscribe((signal) => pauseFor(branch, signal)));
      return new Observable((chain) => {
        chain.add(branch.input.subscribe(chain));
        opened(branch);
      });
    });
  }

  /** Gives the sink events at once: they may not come again. */
  function straight(branch: Branch<T, P>): Observable<Checkpoint<P>> {
    branch.state = "running";
    return branch.sink(branch.input);
  }

  function opened(branch: Branch<T, P>): void {
    if (branch.state !== "opening") return;
    branch.state = "running";
    if (!isOpen) {
      openSourceWhenReady();
      return;
    }
    if (isBefore(branch.sink.positions, branch.from, start)) {
      failed(branch, new Error("it was not there when the source was opened, and stands before its events"));
      return;
    }
    for (const event of branch.late.splice(0)) branch.input.next(event);
    if (isDrained) branch.input.complete();
    regulate();
  }

  /** Waits for the voters, and a little for the others. */
  function openSourceWhenReady(): void {
    if (isOpen || needed().filter(({ state }) => state === "running").length < votes) return;
    if (!all.some(({ state }) => state === "opening")) openSource();
    else if (waiting === undefined) {
      waiting = scheduler.schedule(openSource, patienceMs);
      running.add(waiting);
    }
  }

  function openSource(): void {
    if (isOpen || subscriber.closed) return;
    isOpen = true;
    regulate();
    waiting?.unsubscribe();
    const there = all.filter(({ state }) => state === "running");
    try {
      start = lowest(there);
    } catch (error) {
      subscriber.error(error);
      return;
    }
    running.add(
      source(start, flow.pipe(distinctUntilChanged())).subscribe({
        next: (event) => {
          for (const branch of all) feed(branch, event);
        },
        error: (error) => {
          failure = some(error);
          drain();
        },
        complete: drain,
      }),
    );
  }

  function feed(branch: Branch<T, P>, event: T | Skipped<P>): void {
    if (branch.state === "running") branch.input.next(event);
    if (branch.state !== "opening") return;
    branch.late.push(event);
    if (branch.late.length > maxLateEvents)
      failed(branch, new Error(`more than ${maxLateEvents} events came before it was reached`));
  }

  /** What came before the end, or an error of the source, is published first. */
  function drain(): void {
    isDrained = true;
    for (const branch of all) if (branch.state === "running") branch.input.complete();
    endWhenDone();
  }

  function end(): void {
    if (isSome(failure)) subscriber.error(failure.value);
    else subscriber.complete();
  }

  function acknowledged(branch: Branch<T, P>, checkpoint: Checkpoint<P>): void {
    branch.safe += checkpoint.events;
    branch.newest = checkpoint;
    const order = needed().toSorted((a, b) => b.safe - a.safe);
    const slowest = order[votes - 1];
    if (slowest?.newest !== undefined && slowest.safe > emitted) {
      const events = slowest.safe - emitted;
      emitted = slowest.safe;
      subscriber.next({ ...slowest.newest, events });
    }
    endWhenDone();
  }

  function completed(branch: Branch<T, P>): void {
    branch.state = "done";
    endWhenDone();
  }

  function failed(branch: Branch<T, P>, error: unknown): void {
    if (branch.state === "behind") return;
    const others = needed().filter((other) => other !== branch && other.state !== "behind");
    const isRewind = isSinkError(error) && error.kind === "rewind";
    if (branch.isVoter && (isRewind || others.length < votes)) subscriber.error(error);
    else leaveBehind(branch, error instanceof Error ? error : new Error(String(error)));
  }

  /** The others go on without it. */
  function leaveBehind(branch: Branch<T, P>, cause: Error): void {
    branch.state = "behind";
    branch.late.length = 0;
    branch.sink.report({
      state: "behind",
      position: branch.newest?.position === undefined ? branch.from : some(branch.newest.position),
      cause,
    });
    branch.subscription.unsubscribe();
    regulate();
    openSourceWhenReady();
    endWhenDone();
  }

  function pauseFor(branch: Branch<T, P>, signal: Flow): void {
    branch.isPaused = signal === "pause";
    regulate();
  }

  /** The source goes on while as many take its events as the checkpoint needs. */
  function regulate(): void {
    if (!isOpen) return;
    const taking = needed().filter(({ isPaused, state }) => !isPaused && state === "running");
    flow.next(taking.length < votes ? "pause" : "resume");
  }

  /** Once enough voters are done, the others have as long as they make progress. */
  function endWhenDone(): void {
    if (!isDrained || subscriber.closed) return;
    const isDone = ({ state }: Branch<T, P>) => state === "done";
    const isOver = ({ state }: Branch<T, P>) => state === "done" || state === "behind";
    if (needed().filter(isDone).length < votes) return;
    waiting?.unsubscribe();
    if (all.every(isOver)) {
      end();
      return;
    }
    waiting = scheduler.schedule(() => {
      const cause = new Error(`it made no progress for ${patienceMs} ms at the end`);
      for (const branch of all) if (!isOver(branch)) leaveBehind(branch, cause);
    }, patienceMs);
    running.add(waiting);
  }

  for (const branch of all) open(branch, isResuming ? resuming(branch) : straight(branch));
  if (!isResuming) openSource();
  return running;
}

function newBranch<T, P>(sink: Sink<T, P>, isVoter: boolean): Branch<T, P> {
  return {
    sink,
    isVoter,
    input: new Subject(),
    late: [],
    state: "opening",
    from: none,
    isPaused: false,
    safe: 0,
    newest: undefined,
    subscription: Subscription.EMPTY,
  };
}

/** Whether one position stands before another; where they have no order, whether they differ. */
function isBefore<P>(positions: Positions<P>, a: Option<P>, b: Option<P>): boolean {
  if (!isSome(b)) return false;
  if (!isSome(a)) return true;
  const ord = positions.orderOf(a.value);
  if (isSome(ord)) return ord.value.compare(a.value, b.value) < 0;
  return positions.encode(a.value) !== positions.encode(b.value);
}

/** Where the source has to begin. */
function lowest<T, P>(there: readonly Branch<T, P>[]): Option<P> {
  return there.reduce<Option<P>>((low, { sink: { id, positions }, from }) => {
    if (
      isSome(low) &&
      isSome(from) &&
      !isSome(positions.orderOf(from.value)) &&
      isBefore(positions, from, low)
    )
      throw sinkError(
        "PositionInvalid",
        `sink ${id} stands at ${positions.encode(from.value)}, another one at ${positions.encode(low.value)}: expected the same position, as these have no order`,
      );
    return isBefore(positions, from, low) ? from : low;
  }, there[0]?.from ?? none);
}
