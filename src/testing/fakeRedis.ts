import {
  asyncScheduler,
  EMPTY,
  filter,
  map,
  NEVER,
  Observable,
  pairwise,
  ReplaySubject,
  type SchedulerLike,
  Subscription,
} from "rxjs";
import { TestScheduler } from "rxjs/testing";
import type { Connection } from "../redis/connection.ts";
import { type FakeServer, openFake } from "../redis/fakeServer.ts";
import { computedLaneKeys, laneKeys } from "../redis/publisher.ts";
import { redisErrorOf } from "../redis/redisError.ts";
import { sinkError } from "../sinkError.ts";
import { type FakeEntry, MemoryRedis } from "./memoryRedis.ts";

/** How a {@link fakeRedis} behaves. */
export interface FakeRedisOptions {
  /**
   * What happens when, as a marble string from now on; time goes by as in RxJS (`-`, ` 3s `). Each sign holds until the
   * next one:
   * - `o` all is well;
   * - `x` the connection is lost, and Redis out of reach; `m` it is out of memory; `r` it is a replica;
   * - `f` another writer takes over the sink, once;
   * - `1` to `9` it loses so many of the newest batches, as in a failover, once.
   *
   * Default: all is well.
   */
  readonly replies?: string;
  /** From sending a command to its answer, in ms; Redis does it half-way. Default 2. */
  readonly latencyMs?: number;
  /** Where time comes from. Default: the clock, which `TestScheduler.run` makes virtual. */
  readonly scheduler?: SchedulerLike;
}

/** A Redis in memory, for tests; see {@link fakeRedis}. */
export interface FakeRedis extends FakeServer {
  /** The entries of a stream, oldest first. */
  readonly entries: (stream: string) => readonly FakeEntry[];
  /** The field `event` of each of them. */
  readonly events: (stream: string) => readonly string[];
  /** The position that is stored for a sink; of a sink with computed streams without `stream`. */
  readonly position: (sinkId: string, stream?: string) => string | undefined;
  /** Adds an entry, as another program does; returns its ID. */
  readonly xadd: (stream: string, ...content: readonly string[]) => string;
  /** Puts something that is no stream under a key. */
  readonly set: (key: string) => void;
  /** Deletes a key. */
  readonly del: (key: string) => void;
}

const refusals: Readonly<Record<string, string>> = {
  m: "OOM command not allowed when used memory > 'maxmemory'.",
  r: "READONLY You can't write against a read only replica.",
};

const where = "redis://fake";

/**
 * A Redis in memory that speaks the publish protocol, for testing pipelines with marbles: what a real server answers to
 * a sink, it answers, and what a failing one does, it does when it is told.
 *
 * Give it to a sink as its `connection`, and `retry: { jitter: 0 }` so that retries come at known times.
 *
 * @example
 * ```ts
 * const redis = fakeRedis({ replies: "m 3s o" });
 * const sink = redisSink({ id: "orders", connection: redis, stream: "orders", retry: { jitter: 0 } });
 * expectObservable(hot("-a|", { a: order }).pipe(sink)).toBe("…");
 * ```
 */
export function fakeRedis({
  replies = "o",
  latencyMs = 2,
  scheduler = asyncScheduler,
}: FakeRedisOptions = {}): FakeRedis {
  const memory = new MemoryRedis();
  const condition$ = new ReplaySubject<string>(1);
  let condition = "o";

  function happen(sign: string): void {
    if (sign === "f") memory.takeOver();
    else if (/[1-9]/.test(sign)) memory.lose(Number(sign));
    else {
      condition = sign;
      condition$.next(sign);
    }
  }

  condition$.next(condition);
  for (const { frame, sign } of timetable(replies)) {
    if (frame === 0) happen(sign);
    else scheduler.schedule(() => happen(sign), frame);
  }

  const lost$ = condition$.pipe(filter((sign) => sign === "x"));
  const back$ = condition$.pipe(
    pairwise(),
    filter(([before, now]) => before === "x" && now !== "x"),
  );

  /** Sends a command: it is done after half of the latency, and answered after the other half, unless the line is cut. */
  function call<A>(command: () => A): Observable<A> {
    return new Observable((subscriber) => {
      if (condition === "x") {
        subscriber.error(sinkError("Unreachable", `${where}: connect ECONNREFUSED`));
        return;
      }
      const steps = new Subscription();
      steps.add(
        lost$.subscribe(() =>
          subscriber.error(sinkError("ConnectionLost", `${where}: Connection is closed.`)),
        ),
      );
      steps.add(
        scheduler.schedule(() => {
          const outcome = attempt(command);
          steps.add(scheduler.schedule(() => outcome(subscriber), latencyMs / 2));
        }, latencyMs / 2),
      );
      subscriber.add(steps);
    });
  }

  /** Does it now, to be told later. */
  function attempt<A>(command: () => A) {
    try {
      const refusal = refusals[condition];
      if (refusal !== undefined) throw new Error(refusal);
      const result = command();
      return (subscriber: { next: (value: A) => void; complete: () => void }) => {
        subscriber.next(result);
        subscriber.complete();
      };
    } catch (error) {
      return (subscriber: { error: (error: unknown) => void }) =>
        subscriber.error(redisErrorOf(error, where));
    }
  }

  const connection = (): Connection => ({
    publisher: {
      open: (keys, owner) => call(() => memory.open(keys, owner)),
      publish: (keys, batch) => call(() => memory.publish(keys, batch, scheduler.now())),
    },
    isCluster: false,
    ready$: back$.pipe(map(() => undefined)),
    failure$: NEVER,
    warnings$: EMPTY,
    close$: EMPTY,
    unsubscribe: () => {},
  });

  return {
    [openFake]: connection,
    entries: (stream) => memory.entries(stream) ?? [],
    events: (stream) =>
      (memory.entries(stream) ?? []).map(({ content }) => content[content.indexOf("event") + 1] ?? ""),
    position: (sinkId, stream) => {
      const { state } = stream === undefined ? computedLaneKeys(sinkId) : laneKeys(stream, sinkId);
      return memory.state(state)?.position;
    },
    xadd: (stream, ...content) => memory.add(stream, content, scheduler.now()),
    set: (key) => memory.occupy(key),
    del: (key) => memory.delete(key),
  };
}

/** What happens when, in ms. */
function timetable(replies: string): readonly { readonly frame: number; readonly sign: string }[] {
  return TestScheduler.parseMarbles(replies, undefined, undefined, false, true).flatMap(
    ({ frame, notification }) => {
      const sign = notification.kind === "N" ? String(notification.value) : "";
      if (/^[oxmrf1-9]$/.test(sign)) return [{ frame, sign }];
      throw sinkError(
        "ConfigurationInvalid",
        `fakeRedis: replies: found ${sign || "the end of an Observable"} in ${replies}, expected o, x, m, r, f or a digit`,
      );
    },
  );
}
