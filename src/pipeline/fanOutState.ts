import type { Flow } from "../../operators/flow.ts";
import { isRewind } from "../errors/rxaddError.ts";
import { errorOf } from "../errors/thrown.ts";
import type { Checkpoint } from "../event/checkpoint.ts";
import { hasOrder } from "../event/positions.ts";
import { furthest, placeFor, relation, type Standing, standsElsewhere } from "./fanOutPlace.ts";
import { isUnavailable } from "./source.ts";

/** What holds for all of a run. */
export interface FanOutRules {
  /** How many of the sinks that count have to have an event. */
  readonly votes: number;
  readonly patienceMs: number;
}

/** One sink, and how far it is. */
export interface Branch<P> extends Standing<P> {
  /** Its place among the others. */
  readonly index: number;
  readonly phase: "opening" | "running" | "behind" | "done";
  /** `left`: it takes no more events, and what it says of its buffer as that drains is not for the source. */
  readonly intake: "open" | "paused" | "left";
  /** How many events it has, counted from where the source began. */
  readonly safe: number;
  readonly newest: Checkpoint<P> | undefined;
}

/** What the source has failed with: anything can be thrown, also undefined. */
export interface Failure {
  readonly error: unknown;
}

/** All that is known of a run. */
export interface FanOutState<P> {
  readonly branches: readonly Branch<P>[];
  /** `waiting`: a little, for sinks that have yet to open; `begun`: it has emitted. */
  readonly source: "closed" | "waiting" | "open" | "begun" | "ended";
  readonly start: P | undefined;
  /** What the source passed first, opened without a position: it has nothing before that. */
  readonly begunAt: P | undefined;
  /** How many events a checkpoint was given out for. */
  readonly emitted: number;
  /** Up to where the last one goes. */
  readonly reached: P | undefined;
  readonly failure: Failure | undefined;
}

/** What can happen; `branch` is a sink's index. */
export type Happening<P> =
  /** The sink asks for events after `from`. */
  | { readonly type: "opened"; readonly branch: number; readonly from: P | undefined }
  | { readonly type: "acknowledged"; readonly branch: number; readonly checkpoint: Checkpoint<P> }
  | { readonly type: "flow"; readonly branch: number; readonly signal: Flow }
  /** It takes no more: it has failed, or is full and cannot say so before its Redis is back. */
  | { readonly type: "left"; readonly branch: number }
  /** It has left, and not said why. */
  | { readonly type: "silent"; readonly branch: number }
  | { readonly type: "failed"; readonly branch: number; readonly error: unknown }
  | { readonly type: "completed"; readonly branch: number }
  /** The source has emitted, or passed `at` first. */
  | { readonly type: "begun"; readonly at: P | undefined }
  | { readonly type: "sourceFailed"; readonly error: unknown }
  | { readonly type: "sourceCompleted" }
  | { readonly type: "patienceOver" };

/** What has to be done, in this order. */
export type Command<P> =
  | { readonly type: "openSource"; readonly from: P | undefined; readonly reached: P | undefined }
  /** Give it what came before it was open, and then each event. */
  | { readonly type: "feed"; readonly branch: number }
  | { readonly type: "endInput"; readonly branch: number }
  /** What it has failed with comes at once; then it is `silent`. */
  | { readonly type: "listen"; readonly branch: number }
  | { readonly type: "leave"; readonly branch: number; readonly at: unknown; readonly cause: Error }
  | { readonly type: "emit"; readonly checkpoint: Checkpoint<P> }
  /** In place of what was waited for before. */
  | { readonly type: "wait" }
  | { readonly type: "end"; readonly failure: Failure | undefined };

/** What a run has become, and what has to be done. */
export type Stepped<P> = readonly [FanOutState<P>, readonly Command<P>[]];

/** A run that has not begun. */
export function newFanOut<P>(sinks: readonly Omit<Standing<P>, "from">[]): FanOutState<P> {
  const branches = sinks.map(({ id, positions, isVoter }, index): Branch<P> => {
    const fresh = { from: undefined, phase: "opening", intake: "open", safe: 0, newest: undefined } as const;
    return { id, positions, isVoter, index, ...fresh };
  });
  const nowhere = { start: undefined, begunAt: undefined, reached: undefined, failure: undefined };
  return { branches, source: "closed", emitted: 0, ...nowhere };
}

/** What the source is told: it goes on while as many sinks take its events as the checkpoint needs. */
export function flowOf<P>({ votes }: FanOutRules, { branches }: FanOutState<P>): Flow {
  const taking = voters(branches).filter(({ phase, intake }) => phase === "running" && intake === "open");
  return taking.length < votes ? "pause" : "resume";
}

/** What a happening makes of a run. Throws what the user's order of positions does. */
export function step<P>(rules: FanOutRules, state: FanOutState<P>, happening: Happening<P>): Stepped<P> {
  switch (happening.type) {
    case "opened":
      return opened(rules, state, happening.branch, happening.from);
    case "acknowledged":
      return acknowledged(rules, state, happening.branch, happening.checkpoint);
    case "flow":
      return still(withFlow(state, happening.branch, happening.signal));
    case "left":
      return left(state, happening.branch);
    case "silent":
      return silent(rules, state, happening.branch);
    case "failed":
      return failed(rules, state, happening.branch, happening.error);
    case "completed":
      return goOn(rules, changed(state, happening.branch, { phase: "done" }));
    case "begun":
      return still({
        ...state,
        source: "begun",
        begunAt: state.start === undefined ? happening.at : undefined,
      });
    case "sourceFailed":
      return (
        withoutLowest(rules, state, happening.error) ??
        sourceEnded(rules, { ...state, failure: { error: happening.error } })
      );
    case "sourceCompleted":
      return sourceEnded(rules, state);
    case "patienceOver":
      return patienceOver(rules, state);
  }
}

function opened<P>(
  rules: FanOutRules,
  state: FanOutState<P>,
  index: number,
  from: P | undefined,
): Stepped<P> {
  const branch = state.branches[index];
  if (branch?.phase !== "opening") return still(state);
  const now = changed(state, index, { phase: "running", from });
  const feed: Command<P> = { type: "feed", branch: index };
  if (isClosed(state)) return after([now, [feed]], (next) => goOn(rules, next));
  const cause = tooLate(state, { ...branch, from });
  if (cause !== undefined) return failed(rules, now, index, cause);
  return [now, state.source === "ended" ? [feed, { type: "endInput", branch: index }] : [feed]];
}

/** Why a sink cannot join in that the source was opened without. */
function tooLate<P>({ start, begunAt }: FanOutState<P>, { positions, from }: Standing<P>): Error | undefined {
  try {
    switch (relation(positions, from, from === undefined ? start : (begunAt ?? start))) {
      case "before":
        return new Error("it was not there when the source was opened, and stands before its events");
      case "apart":
        return new Error(
          "it was not there when the source was opened, and stands elsewhere; its positions have no order",
        );
      default:
        return undefined;
    }
  } catch (error) {
    // The others have no part in it.
    return errorOf(error);
  }
}

/** What there is to do when a sink is there, has made progress, or is over. */
function goOn<P>(rules: FanOutRules, state: FanOutState<P>): Stepped<P> {
  if (isClosed(state)) return openWhenReady(rules, state);
  return state.source === "ended" ? endWhenDone(rules, state) : still(state);
}

/** Waits for the sinks that count, and a little for the others. */
function openWhenReady<P>(rules: FanOutRules, state: FanOutState<P>): Stepped<P> {
  if (!isReady(rules, state)) return still(state);
  if (!state.branches.some(({ phase }) => phase === "opening")) return openSource(rules, state);
  return state.source === "waiting" ? still(state) : [{ ...state, source: "waiting" }, [{ type: "wait" }]];
}

function isClosed<P>({ source }: FanOutState<P>): boolean {
  return source === "closed" || source === "waiting";
}

function isReady<P>({ votes }: FanOutRules, { branches }: FanOutState<P>): boolean {
  return voters(branches).filter(({ phase }) => phase === "running" || phase === "done").length >= votes;
}

/** Leaves behind who cannot go on from where the source begins. */
function openSource<P>(rules: FanOutRules, state: FanOutState<P>): Stepped<P> {
  const { from, apart } = placeFor<P, Branch<P>>(state.branches.filter(isRunning), rules.votes);
  const open: FanOutState<P> = { ...state, source: "open", start: from };
  return after(
    leave(rules, open, apart, (branch) => standsElsewhere(branch, from)),
    // Those that are away, or left behind, count as well as far as they were asked.
    (now) => [now, [{ type: "openSource", from, reached: furthest(now.branches, from) }]],
  );
}

/** Goes on without the sinks that the source has nothing more for, if that can be. */
function withoutLowest<P>(rules: FanOutRules, state: FanOutState<P>, error: unknown): Stepped<P> | undefined {
  if (state.source !== "open" || !isUnavailable(error)) return undefined;
  const lowest = state.branches.filter(
    (branch) => isRunning(branch) && relation(branch.positions, branch.from, state.start) === "same",
  );
  if (lowest.length === 0 || !canSpare(rules, state, lowest)) return undefined;
  return after(
    leave(rules, state, lowest, () => errorOf(error)),
    (now) => {
      const closed: FanOutState<P> = { ...now, source: "closed" };
      // Who was not there was waited for before.
      return isReady(rules, closed) ? openSource(rules, closed) : still(closed);
    },
  );
}

/** What came before the end, or an error of the source, is published first. */
function sourceEnded<P>(rules: FanOutRules, state: FanOutState<P>): Stepped<P> {
  const ends = state.branches
    .filter(isRunning)
    .map(({ index }): Command<P> => ({ type: "endInput", branch: index }));
  return after([{ ...state, source: "ended" }, ends], (now) => endWhenDone(rules, now));
}

/** Once enough voters are done, the others have as long as they make progress. */
function endWhenDone<P>({ votes }: FanOutRules, state: FanOutState<P>): Stepped<P> {
  const done = voters(state.branches).filter(({ phase }) => phase === "done");
  if (done.length < votes) return still(state);
  return [
    state,
    [state.branches.some(isUnderWay) ? { type: "wait" } : { type: "end", failure: state.failure }],
  ];
}

function patienceOver<P>(rules: FanOutRules, state: FanOutState<P>): Stepped<P> {
  // Of those that were there some may have gone.
  if (state.source === "waiting")
    return isReady(rules, state) ? openSource(rules, state) : still({ ...state, source: "closed" });
  if (state.source !== "ended") return still(state);
  const cause = new Error(`it made no progress for ${rules.patienceMs} ms at the end`);
  return leave(rules, state, state.branches.filter(isUnderWay), () => cause);
}

function acknowledged<P>(
  rules: FanOutRules,
  state: FanOutState<P>,
  index: number,
  newest: Checkpoint<P>,
): Stepped<P> {
  const safe = (state.branches[index]?.safe ?? 0) + newest.events;
  return after(emitted(rules, changed(state, index, { safe, newest })), (now) => goOn(rules, now));
}

function emitted<P>({ votes }: FanOutRules, state: FanOutState<P>): Stepped<P> {
  const slowest = voters(state.branches).sort((a, b) => b.safe - a.safe)[votes - 1];
  if (slowest?.newest === undefined || slowest.safe <= state.emitted) return still(state);
  const position = common(votes, state, slowest);
  const reached = position ?? state.reached;
  // Another one was further, and has lost what it had.
  if (relation(slowest.positions, reached, state.reached) === "before") return still(state);
  const checkpoint = { ...slowest.newest, position, events: slowest.safe - state.emitted };
  return [{ ...state, emitted: slowest.safe, reached }, [{ type: "emit", checkpoint }]];
}

/**
 * The furthest position that as many sinks have as the checkpoint needs: a sink that stands beyond the place where the
 * source began tells its own from its first batch on. Without an order all began at the same one, and the slowest tells it.
 */
function common<P>(votes: number, { branches }: FanOutState<P>, { positions, newest }: Branch<P>) {
  const position = newest?.position;
  if (position === undefined || !hasOrder(positions, position)) return position;
  return voters(branches)
    .map(({ newest }) => newest?.position)
    .filter((reached) => reached !== undefined)
    .sort((a, b) => positions.compare?.(b, a) ?? 0)[votes - 1];
}

function withFlow<P>(state: FanOutState<P>, index: number, signal: Flow): FanOutState<P> {
  if (state.branches[index]?.intake === "left") return state;
  return changed(state, index, { intake: signal === "pause" ? "paused" : "open" });
}

function left<P>(state: FanOutState<P>, index: number): Stepped<P> {
  if (state.branches[index]?.phase !== "running" || state.source === "ended") return still(state);
  return [changed(state, index, { intake: "left" }), [{ type: "listen", branch: index }]];
}

function silent<P>(rules: FanOutRules, state: FanOutState<P>, index: number): Stepped<P> {
  const branch = state.branches[index];
  if (branch?.phase !== "running" || state.source === "ended") return still(state);
  if (!canSpare(rules, state, [branch])) return still(state);
  const cause = new Error("its buffer is full, or it cannot publish what it was given");
  return leave(rules, state, [branch], () => cause);
}

function failed<P>(rules: FanOutRules, state: FanOutState<P>, index: number, error: unknown): Stepped<P> {
  const branch = state.branches[index];
  if (branch === undefined || branch.phase === "behind") return still(state);
  if (!canSpare(rules, state, [branch])) return [state, [{ type: "end", failure: { error } }]];
  // What it has lost counts for nobody any more.
  const now = isRewind(error) ? changed(state, index, { safe: 0, newest: undefined }) : state;
  return leave(rules, now, [branch], () => errorOf(error));
}

/** Whether the checkpoint can do without some. */
function canSpare<P>({ votes }: FanOutRules, state: FanOutState<P>, some: readonly Branch<P>[]): boolean {
  const others = voters(state.branches).filter((branch) => branch.phase !== "behind" && !has(some, branch));
  return others.length >= votes || !some.some(({ isVoter }) => isVoter);
}

/** The others go on without some. */
function leave<P>(
  rules: FanOutRules,
  state: FanOutState<P>,
  leaving: readonly Branch<P>[],
  causeOf: (branch: Branch<P>) => Error,
): Stepped<P> {
  if (leaving.length === 0) return still(state);
  const leaves = leaving.map((branch): Command<P> => {
    const cause = causeOf(branch);
    return { type: "leave", branch: branch.index, at: placeOf(branch, cause), cause };
  });
  const branches = state.branches.map(
    (branch): Branch<P> => (has(leaving, branch) ? { ...branch, phase: "behind" } : branch),
  );
  return after([{ ...state, branches }, leaves], (now) => goOn(rules, now));
}

/** Where a sink stands that is left behind; undefined: it has nothing. */
function placeOf<P>({ newest, from }: Branch<P>, cause: Error): unknown {
  if (isRewind(cause)) return cause.details.position;
  return newest?.position ?? from;
}

function voters<P>(branches: readonly Branch<P>[]): Branch<P>[] {
  return branches.filter(({ isVoter }) => isVoter);
}

function has<P>(branches: readonly Branch<P>[], { index }: Branch<P>): boolean {
  return branches.some((branch) => branch.index === index);
}

function isRunning<P>({ phase }: Branch<P>): boolean {
  return phase === "running";
}

function isUnderWay<P>({ phase }: Branch<P>): boolean {
  return phase === "opening" || phase === "running";
}

function changed<P>(state: FanOutState<P>, index: number, change: Partial<Branch<P>>): FanOutState<P> {
  const branches = state.branches.map((branch) =>
    branch.index === index ? { ...branch, ...change } : branch,
  );
  return { ...state, branches };
}

/** Nothing has to be done. */
function still<P>(state: FanOutState<P>): Stepped<P> {
  return [state, []];
}

/** One step after another. */
function after<P>(
  [state, commands]: Stepped<P>,
  following: (state: FanOutState<P>) => Stepped<P>,
): Stepped<P> {
  const [now, more] = following(state);
  return [now, [...commands, ...more]];
}
