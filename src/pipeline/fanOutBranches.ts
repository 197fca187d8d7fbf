import { fromNullable, isNone, isSome, none, type Option, some } from "fp-ts/lib/Option.js";
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
import type { Flow } from "../../operators/flow.ts";
import { isRxaddError, type RxaddError, rxaddError } from "../errors/rxaddError.ts";
import { errorOf } from "../errors/thrown.ts";
import type { Checkpoint } from "../event/checkpoint.ts";
import type { Positions } from "../event/positions.ts";
import { isSkipped, type Skipped } from "./keepPositions.ts";
import type { OpenSource, Sink } from "./sink.ts";
import { isUnavailable } from "./source.ts";

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
  /** It takes no more events, and what it says of its buffer as that drains is not for the source. */
  hasLeft: boolean;
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
  /** What the source passed first, opened without a position: it has nothing before that. */
  let begunAt: Option<P> = none;
  let isOpen = false;
  let isDrained = false;
  let emitted = 0;
  /** Of the source. */
  let failure: Option<unknown> = none;
  let waiting: Subscription | undefined;

  const needed = () => all.filter(({ isVoter }) => isVoter);

  function open(branch: Branch<T, P>, checkpoints$: Observable<Checkpoint<P>>): void {
    branch.subscription = checkpoints$.subscribe({
      next: (checkpoint) => {
        try {
          acknowledged(branch, checkpoint);
        } catch (error) {
          // The user's order of positions.
          subscriber.error(error);
        }
      },
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
        chain.add(inputOf(branch).subscribe(chain));
        opened(branch);
      });
    });
  }

  /** Gives the sink events at once: they may not come again. */
  function straight(branch: Branch<T, P>): Observable<Checkpoint<P>> {
    branch.state = "running";
    return branch.sink(inputOf(branch));
  }

  /** What a sink gets. One that takes no more of it has failed, or is full and cannot say so before its Redis is back. */
  function inputOf(branch: Branch<T, P>): Observable<T | Skipped<P>> {
    return new Observable((chain) => {
      chain.add(() => {
        if (branch.state !== "running" || isDrained || subscriber.closed) return;
        branch.hasLeft = true;
        regulate();
        // What it has failed with comes at once.
        running.add(scheduler.schedule(() => isFull(branch)));
      });
      chain.add(branch.input.subscribe(chain));
    });
  }

  function isFull(branch: Branch<T, P>): void {
    if (branch.state === "running" && !isDrained && canSpare([branch]))
      leaveBehind(branch, new Error("its buffer is full, or it cannot publish what it was given"));
  }

  function opened(branch: Branch<T, P>): void {
    if (branch.state !== "opening") return;
    branch.state = "running";
    if (!isOpen) {
      openSourceWhenReady();
      return;
    }
    const begun = isSome(branch.from) && isSome(begunAt) ? begunAt : start;
    const order = relation(branch.sink.positions, branch.from, begun);
    if (order === "before" || order === "apart") {
      failed(
        branch,
        new Error(
          order === "before"
            ? "it was not there when the source was opened, and stands before its events"
            : "it was not there when the source was opened, and stands elsewhere; its positions have no order",
        ),
      );
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
    try {
      start = beginning();
    } catch (error) {
      subscriber.error(error);
      return;
    }
    let hasBegun = false;
    running.add(
      source(start, flow.pipe(distinctUntilChanged()), reached()).subscribe({
        next: (event) => {
          if (!hasBegun) {
            hasBegun = true;
            if (isNone(start) && isSkipped<P>(event)) begunAt = fromNullable(event.position);
          }
          for (const branch of all) feed(branch, event);
        },
        error: (error) => {
          if (!hasBegun && isUnavailable(error) && leaveLowest(error)) return;
          failure = some(error);
          drain();
        },
        complete: drain,
      }),
    );
  }

  /** Where the source has to begin; leaves behind who cannot go on from there. */
  function beginning(): Option<P> {
    const there = all.filter(({ state }) => state === "running");
    const { from, apart } = placeFor(there, votes);
    for (const branch of apart) leaveBehind(branch, standsElsewhere(branch, from));
    return from;
  }

  /** The furthest position that a sink has; those that are away, or left behind, count as well as far as they were asked. */
  function reached(): Option<P> {
    return all.reduce<Option<P>>(
      (furthest, { sink, from }) => (relation(sink.positions, from, furthest) === "after" ? from : furthest),
      start,
    );
  }

  /** Goes on without the sinks that the source has nothing more for, if that can be. */
  function leaveLowest(error: unknown): boolean {
    const lowest = all.filter(
      ({ sink, from, state }) => state === "running" && relation(sink.positions, from, start) === "same",
    );
    if (lowest.length === 0 || !canSpare(lowest)) return false;
    for (const branch of lowest) leaveBehind(branch, errorOf(error));
    isOpen = false;
    waiting = undefined;
    const isThere = ({ state }: Branch<T, P>) => state === "running";
    if (needed().filter(isThere).length >= votes) openSource();
    else openSourceWhenReady();
    return true;
  }

  /** Whether the checkpoint can do without some. */
  function canSpare(some: readonly Branch<T, P>[]): boolean {
    const others = needed().filter((branch) => !some.includes(branch) && branch.state !== "behind");
    return others.length >= votes || !some.some(({ isVoter }) => isVoter);
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
      subscriber.next({ ...slowest.newest, position: common(slowest), events });
    }
    endWhenDone();
  }

  /**
   * The furthest position that as many sinks have as the checkpoint needs: a sink that stands beyond the place where the
   * source began tells its own from its first batch on. Without an order all began at the same one, and the slowest tells it.
   */
  function common({ sink: { positions }, newest }: Branch<T, P>): P | undefined {
    const position = newest?.position;
    const ord = position === undefined ? none : positions.orderOf(position);
    if (!isSome(ord)) return position;
    return needed()
      .map((branch) => branch.newest?.position)
      .filter((reached) => reached !== undefined)
      .sort((a, b) => ord.value.compare(b, a))[votes - 1];
  }

  function completed(branch: Branch<T, P>): void {
    branch.state = "done";
    endWhenDone();
  }

  function failed(branch: Branch<T, P>, error: unknown): void {
    if (branch.state === "behind") return;
    if (!canSpare([branch])) {
      subscriber.error(error);
      return;
    }
    // What it has lost counts for nobody any more.
    if (isRewind(error)) {
      branch.safe = 0;
      branch.newest = undefined;
    }
    leaveBehind(branch, errorOf(error));
  }

  /** The others go on without it. */
  function leaveBehind(branch: Branch<T, P>, cause: Error): void {
    branch.state = "behind";
    branch.late.length = 0;
    branch.subscription.unsubscribe();
    // The last word, after that it is closed.
    branch.sink.report({ state: "behind", position: positionOf(branch, cause), cause });
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
    const taking = needed().filter(
      ({ isPaused, hasLeft, state }) => !isPaused && !hasLeft && state === "running",
    );
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
    hasLeft: false,
    safe: 0,
    newest: undefined,
    subscription: Subscription.EMPTY,
  };
}

function isRewind(error: unknown): error is Extract<RxaddError, { readonly kind: "rewind" }> {
  return isRxaddError(error) && error.kind === "rewind";
}

/** Where a sink stands that is left behind. */
function positionOf<T, P>({ newest, from }: Branch<T, P>, cause: Error): Option<unknown> {
  if (isRewind(cause)) return cause.details.position;
  return newest?.position === undefined ? from : some(newest.position);
}

/** How one position stands to another; `apart`: they differ, and have no order. None is before all others. */
type Relation = "before" | "same" | "after" | "apart";

function relation<P>(positions: Positions<P>, a: Option<P>, b: Option<P>): Relation {
  if (isNone(a) && isNone(b)) return "same";
  const sample = isSome(a) ? a : b;
  const ord = isSome(sample) ? positions.orderOf(sample.value) : none;
  if (isSome(a) && isSome(b)) {
    if (!isSome(ord)) return positions.encode(a.value) === positions.encode(b.value) ? "same" : "apart";
    const order = ord.value.compare(a.value, b.value);
    return order === 0 ? "same" : order < 0 ? "before" : "after";
  }
  if (!isSome(ord)) return "apart";
  return isNone(a) ? "before" : "after";
}

/** Where the source has to begin, and who cannot go on from there. */
interface Place<T, P> {
  readonly from: Option<P>;
  readonly apart: readonly Branch<T, P>[];
}

/** The lowest position; where they have no order, the one at which as many stand as the checkpoint needs. */
function placeFor<T, P>(there: readonly Branch<T, P>[], votes: number): Place<T, P> {
  const isAt =
    (from: Option<P>, ...relations: readonly Relation[]) =>
    (branch: Branch<T, P>) =>
      relations.includes(relation(branch.sink.positions, branch.from, from));
  const lowest = there.find(({ from }) => there.every(isAt(from, "same", "after")));
  if (lowest !== undefined) return { from: lowest.from, apart: [] };
  const voters = there.filter(({ isVoter }) => isVoter);
  const enough = voters.filter(({ from }) => voters.filter(isAt(from, "same")).length >= votes);
  const [one] = enough;
  if (one !== undefined && enough.every(isAt(one.from, "same"))) {
    return { from: one.from, apart: there.filter((branch) => !isAt(one.from, "same")(branch)) };
  }
  const from = voters[0]?.from ?? none;
  const other = voters.find(isAt(from, "apart"));
  if (other === undefined) return { from, apart: [] };
  throw standsElsewhere(other, from);
}

function standsElsewhere<T, P>(
  { sink: { id, positions }, from }: Branch<T, P>,
  place: Option<P>,
): RxaddError {
  const text = (at: Option<P>) => (isSome(at) ? positions.encode(at.value) : "no position");
  return rxaddError(
    "PositionInvalid",
    `sink ${id} stands at ${text(from)}, another one at ${text(place)}: expected the same position, as these have no order; run sink ${id} alone until it stands where the others do`,
  );
}
