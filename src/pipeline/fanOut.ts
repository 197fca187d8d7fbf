import { Observable, type SchedulerLike } from "rxjs";
import { rxaddError } from "../errors/rxaddError.ts";
import type { Checkpoint } from "../event/checkpoint.ts";
import type { Positions } from "../event/positions.ts";
import { count, duration } from "../options/codecs.ts";
import { decodeOptions } from "../options/decodeOptions.ts";
import { Settings, withDefault } from "../options/settings.ts";
import { FanOutRun } from "./fanOutRun.ts";
import type { Skipped } from "./keepPositions.ts";
import type { OpenSource, Sink } from "./sink.ts";

/**
 * Which sinks gate the checkpoint: those that are `required`, `all` of them, or any so many.
 *
 * @example
 * ```ts
 * fanOut(sinks, { commit: { quorum: 2 } });
 * ```
 */
export type Commit = "required" | "all" | { readonly quorum: number };

const settings = new Settings({
  patience_ms: withDefault(duration, 2000, "How long an optional sink is waited for"),
  max_late_events: withDefault(count, 20_000, "Most events that are kept for an optional sink"),
}).inProgram();

/** What {@link fanOut} can be told. Durations are ms. */
export interface FanOutOptions {
  /** Which sinks gate the checkpoint. Default `required`. */
  readonly commit?: Commit;
  /** How long an optional sink is waited for at the start and, without progress, at the end. Default 2,000. */
  readonly patienceMs?: number;
  /** Most events that are kept for an optional sink that has yet to connect. Default 20,000. */
  readonly maxLateEvents?: number;
  /** Where time comes from. Default: the clock. */
  readonly scheduler?: SchedulerLike;
}

/**
 * Publishes each event to several sinks, and emits a checkpoint once as many of them have it as `commit` asks for.
 *
 * ```
 * events        -abc-------|
 * required      ----C------|
 * optional      --------C--|
 * checkpoints   ----C------|      commit "required"
 * checkpoints   --------C--|      commit "all"
 * ```
 *
 * - **Start** each sink keeps its own position; with `replicate` the source goes on at the lowest, and the others leave
 *   out what they have. That needs positions with an order; without, sinks that stand elsewhere are `behind`, or it ends with
 *   `PositionInvalid`.
 * - **Gating sinks** pause the source, and their errors end it all, but for a quorum that is left.
 * - **Other sinks** never stop it. One that is down catches up from its own `buffer`; when that is full, or it ends with an
 *   error, it is `behind`: its status says so, and it goes on from its own stored position at the next start.
 * - **What the source no longer has** for sinks that can be spared, it is opened without: they are `behind` at each start.
 *   Where one stands that is needed, the source's `PositionUnavailable` ends it all.
 * - **Completion** when the gating sinks have published everything, and the others, or they make no progress.
 * - **Misuse** throws `ConfigurationInvalid` at once.
 *
 * @example
 * ```ts
 * const main = redisSink({ id: "main", uri, stream });
 * const copy = redisSink({ id: "copy", uri: other, stream, required: false });
 * replicate({ source, sink: fanOut([main, copy]) }).subscribe();
 * ```
 */
export function fanOut<T, P>(sinks: readonly Sink<T, P>[], options?: FanOutOptions): Sink<T, P>;
/** @deprecated give the policy as option `commit` */
export function fanOut<T, P>(
  sinks: readonly Sink<T, P>[],
  policy: Commit | undefined,
  options?: FanOutOptions,
): Sink<T, P>;
export function fanOut<T, P>(
  sinks: readonly Sink<T, P>[],
  given: Commit | FanOutOptions = {},
  others: FanOutOptions = {},
): Sink<T, P> {
  const options = isOptions(given) ? { ...others, ...given } : { ...others, commit: given };
  const { commit: policy = "required", scheduler } = options;
  const { patienceMs, maxLateEvents } = decodeOptions(settings, "fanOut", options, ["commit", "scheduler"]);
  if (policy === null || (typeof policy !== "object" && policy !== "required" && policy !== "all")) {
    throw rxaddError(
      "ConfigurationInvalid",
      `fanOut: found ${String(policy)} as policy, expected "required", "all" or { quorum: 2 }`,
    );
  }
  const [first] = sinks;
  const voters = policy === "required" ? sinks.filter(({ required }) => required) : sinks;
  const votes = typeof policy === "object" ? policy.quorum : voters.length;
  if (first === undefined || !Number.isInteger(votes) || votes < 1 || votes > voters.length) {
    throw rxaddError("ConfigurationInvalid", `fanOut: ${expectation(sinks.length, policy)}`);
  }
  const ids = sinks.map(({ id }) => id);
  if (new Set(ids).size < ids.length) {
    throw rxaddError(
      "ConfigurationInvalid",
      `fanOut: found the ids ${ids.join(", ")}, expected different ones`,
    );
  }
  const run = (source: OpenSource<T, P>, isResuming: boolean, positions?: Positions<P>) =>
    new Observable<Checkpoint<P>>((subscriber) => {
      const how = { sinks, voters, votes, patienceMs, maxLateEvents, scheduler };
      return new FanOutRun({ ...how, source, isResuming, positions }, subscriber).start();
    });
  const sink = (events$: Observable<T | Skipped<P>>) => run(() => events$, false);
  return Object.assign(sink, {
    id: ids.join("+"),
    required: voters.some(({ required }) => required),
    positions: first.positions,
    resuming: (source: OpenSource<T, P>, positions?: Positions<P>) => run(source, true, positions),
    report: (status: Parameters<Sink<T, P>["report"]>[0]) => {
      for (const { report } of sinks) report(status);
    },
  });
}

/** What is neither options nor a policy is refused as a policy. */
function isOptions(given: Commit | FanOutOptions): given is FanOutOptions {
  return typeof given === "object" && given !== null && !("quorum" in given);
}

function expectation(sinks: number, policy: Commit): string {
  if (sinks === 0) return "found no sink, expected at least one";
  if (typeof policy === "object")
    return `quorum: found ${policy.quorum}, expected a whole number from 1 to ${sinks}, of the sinks that there are`;
  return 'found no sink that is required, expected at least one, or the policy "all" or { quorum }';
}
